/**
 * The id of a tool call that has none: the same for the same answer and position, so that a stream and its replay agree, and different
 * between the turns of a conversation. FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv) over two offsets, 64 bits in all.
 * @param seed the answer's id, or whatever else tells it from others
 */
export function toolCallId(seed: string, choice: number, index: number): string {
  const text = `${seed}/${choice}/${index}`;
  return `call_${fnv(text, 0x811c9dc5)}${fnv(text, 0x01000193)}`;
}

function fnv(text: string, offset: number): string {
  let hash = offset;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
