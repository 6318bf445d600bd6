import type { MediaPart } from "./core.ts";

const DATA_URL = /^data:([^;,]*)((?:;[^;,]*)*?);base64,/;

/** The source of a URL: the bytes of a base64 `data:` URL with their media type, any other URL as it is. */
export function sourceOfUrl(url: string): Pick<MediaPart, "mediaType" | "source"> {
  if (!url.startsWith("data:")) return { mediaType: undefined, source: { url } };
  const comma = url.indexOf(",");
  const match = comma === -1 || comma > 256 ? null : DATA_URL.exec(url.slice(0, comma + 1));
  if (match === null) return { mediaType: undefined, source: { url } };
  return { mediaType: match[1] === "" ? undefined : match[1], source: { base64: url.slice(comma + 1) } };
}

/** A URL for a source that has one or whose bytes are known; undefined for a file id. */
export function urlOfSource(part: MediaPart, defaultType: string): string | undefined {
  if ("url" in part.source) return part.source.url;
  if ("base64" in part.source) return `data:${part.mediaType ?? defaultType};base64,${part.source.base64}`;
  return undefined;
}

const FORMATS: Readonly<Record<string, string>> = { mp3: "audio/mpeg", wav: "audio/wav", pcm16: "audio/l16" };

export const typeOfAudioFormat = (format: string): string => FORMATS[format] ?? `audio/${format}`;

/** "audio/x-wav" → "wav". */
export function audioFormatOfType(mediaType: string): string {
  const known = Object.entries(FORMATS).find(([, type]) => type === mediaType);
  return known?.[0] ?? mediaType.replace(/^audio\/(?:x-)?/, "").replace(/;.*$/, "");
}
