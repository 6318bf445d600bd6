import { ALNUM, DIGIT, is, LETTER } from "../characters.ts";
import type { Detector, Scan } from "../detector.ts";

/** Country and length: the registry of ISO 13616. */
const LENGTHS: ReadonlyMap<string, number> = new Map(
  (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 " +
    "FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 " +
    "LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 " +
    "SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30 DZ26 AO25 BJ28 BF28 CM27 CV25 CF27 TD27 KM27 CG27 " +
    "CI28 GA27 GQ27 GW25 IR26 MG27 ML28 MA28 MZ25 NE28 SN28 TG28"
  )
    .split(" ")
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);

const isGap = (text: string, at: number): boolean => " -.\u00a0\u2009\u202f".includes(text.charAt(at));

/** ISO 7064, MOD 97-10, over the account's number with its head moved to the end. */
export function mod97(iban: string): boolean {
  let rest = 0;
  for (let at = 0; at < iban.length; at += 1) {
    const code = iban.charCodeAt((at + 4) % iban.length);
    const value = code <= 57 ? code - 48 : code - 55;
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}

/** International bank account numbers with right length and check digits, in one piece or in groups. */
export const iban: Detector = {
  name: "iban",
  detect(scan, sight) {
    const { text } = scan;
    for (const digits of sight.digitStarts) {
      const start = digits - 2;
      if (start < 0 || !is(text, start, LETTER) || !is(text, start + 1, LETTER) || is(text, start - 1, ALNUM)) continue;
      accountAt(scan, start);
    }
    if (scan.final) return;
    // The head itself may be cut: D, DE, DE8.
    for (let start = Math.max(0, text.length - 4); start < text.length; start += 1) {
      if (is(text, start, LETTER) && !is(text, start - 1, ALNUM)) scan.undecided(start);
    }
  },
};

function accountAt(scan: Scan, start: number): void {
  const { text } = scan;
  const country = text.slice(start, start + 2).toUpperCase();
  const length = LENGTHS.get(country);
  if (length === undefined || (start + 3 < text.length && !is(text, start + 3, DIGIT))) return;
  let account = "";
  let at = start;
  while (at < text.length && account.length < length) {
    if (is(text, at, ALNUM)) account += text[at];
    else if (account.length < 4 || !isGap(text, at) || !is(text, at - 1, ALNUM)) return;
    at += 1;
  }
  if (at === text.length && !scan.final) return scan.undecided(start);
  if (account.length === length && !is(text, at, ALNUM) && mod97(account.toUpperCase())) scan.found("IBAN", start, at);
}
