export { type JsonPiece, JsonStream } from "./json-stream.ts";
export { linearTest } from "./pattern/linear-test.ts";
export {
  type Action,
  type DetectorChoice,
  PERSONAL,
  type Personal,
  type Place,
  PLACES,
  type Rule,
} from "./rules.ts";
export { compileScanner, type Scanner, type Source } from "./scanner.ts";
export { MAX_JUDGED, type Piece, scanText, scanTexts, TextStream } from "./text-stream.ts";
export { Restorer, Vault } from "./vault.ts";
export { type Skipped, Tally, type Verdict } from "./verdict.ts";
