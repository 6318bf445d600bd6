/**
 * Personal data in what is logged or traced: errors of providers and drivers may quote what somebody said. Where it is sure, and cheaply; a
 * network's addresses stay, since operators need them. Linear: every repetition is bounded.
 */

const EMAIL = /[\p{L}\p{N}._%+'-]{1,64}@[\p{L}\p{N}][\p{L}\p{N}.-]{0,252}\.\p{L}{2,24}/gu;
const CARD = /(?<![\w.-])[2-6]\d{3}(?:[ .-]?\d){8,15}(?![\w-])/g;
const SSN = /(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])/g;
const IBAN = /(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)/g;
const PHONE =
  /(?<![\w.])\+\d(?:[ ().-]{0,2}\d){7,14}(?!\w)|(?<![\w.-])(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}(?![\w-])/g;

/** Cuts addresses, and numbers of cards, accounts, people and phones, from a text. */
export function scrubPersonal(text: string): string {
  let clean = text.includes("@") ? text.replace(EMAIL, "[email]") : text;
  if (!/\d{2}/.test(clean)) return clean;
  clean = clean.replace(IBAN, (found) => (isIban(found) ? "[iban]" : found));
  clean = clean.replace(CARD, (found) => (isCard(found) ? "[card]" : found));
  return clean.replace(SSN, "[ssn]").replace(PHONE, "[phone]");
}

/** ISO/IEC 7812-1, annex B. */
function isCard(written: string): boolean {
  const digits = written.replaceAll(/\D/g, "");
  let sum = 0;
  for (let at = 0; at < digits.length; at += 1) {
    const digit = Number(digits[digits.length - 1 - at]);
    sum += at % 2 === 0 ? digit : digit > 4 ? digit * 2 - 9 : digit * 2;
  }
  return sum % 10 === 0;
}

/** ISO 7064, MOD 97-10. */
function isIban(written: string): boolean {
  const account = written.replaceAll(" ", "");
  let rest = 0;
  for (const character of account.slice(4) + account.slice(0, 4)) {
    const value = Number.parseInt(character, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}
