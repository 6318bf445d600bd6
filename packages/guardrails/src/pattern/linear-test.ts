import { Machine, Pattern } from "./machine.ts";

/**
 * As `new RegExp(source).test`, in time linear in the text, for the regular expressions that can be (see parse.ts); by UTF-16 units.
 * @throws WeirError invalid_request for one that cannot
 */
export function linearTest(source: string): (text: string) => boolean {
  const pattern = new Pattern(source, { whole: true });
  return (text) => {
    const machine = new Machine(pattern);
    let found = false;
    const report = (): void => void (found = true);
    for (let at = 0; at < text.length && !found; at += PIECE) machine.push(text.slice(at, at + PIECE), report);
    if (!found) machine.end(report);
    return found;
  };
}

/** Asked after each whether it is found already. */
const PIECE = 1_024;
