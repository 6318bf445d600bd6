/**
 * Personal data as others generate it: formats of phone numbers, cards, accounts, addresses by locale as the Faker libraries have them,
 * in sentences as people write to assistants. No detector was changed to fit these: figures are reported as they come out.
 */
import { below, from, pick, type Random } from "../planted.ts";

export interface Sample {
  readonly text: string;
  readonly value: string;
}

const DIGITS = "0123456789";
const NONZERO = "123456789";
const digits = (random: Random, form: string): string =>
  form.replace(/[#%]/g, (sign) => pick(random, (sign === "#" ? DIGITS : NONZERO).split("")));

const PHONES = [
  // en_US
  "%##-###-####",
  "(%##)###-####",
  "%##.###.####",
  "001-%##-###-####",
  "+1-%##-###-####",
  "%##-###-####x###",
  "(%##)###-####x####",
  "+1-%##-###-####x####",
  "001-%##-###-####x#####",
  "%##.###.####x####",
  "%#########",
  "+1 (%##) ###-####",
  "1-%##-###-####",
  // en_GB
  "+44(0)%########",
  "+44(0)%### ######",
  "+44(0)%## #######",
  "0%########",
  "0%### ######",
  "0%## ### ####",
  "(0%###) ######",
  "(0%##) ### ####",
  "+44 7%## ######",
  // de_DE
  "+49(0)%########",
  "+49(0)%### ######",
  "0%### ######",
  "(0%###) ######",
  "+49 %## #######",
  "0%##/#######",
  // fr_FR
  "+33 (0)1 ## ## ## ##",
  "+33 6 ## ## ## ##",
  "01 ## ## ## ##",
  "06########",
  "+33 (0)4 ## ## ## ##",
  // es_ES, it_IT, nl_NL, pl_PL
  "+34 9## ### ###",
  "+34 6## ## ## ##",
  "+39 0## #######",
  "+39 3## ### ####",
  "+31 6 ########",
  "06-########",
  "+48 ### ### ###",
  // ja_JP, ko_KR, zh_CN, en_IN, pt_BR, en_AU
  "090-####-####",
  "03-####-####",
  "+81 90 #### ####",
  "010-####-####",
  "+86 13# #### ####",
  "+91 9#### #####",
  "+91-98########",
  "+55 (11) 9####-####",
  "(11) 9####-####",
  "+61 4## ### ###",
  "(02) #### ####",
];

const SAID = [
  "Please call me at {}.",
  "My number is {}, thanks!",
  "You can reach Maria on {} after five.",
  "tel: {}",
  "Phone: {}",
  "{}",
  "I lost my card, my phone number is {} and I live in Leeds",
  "Bot: What is your phone number?\nUser: {}",
  "contact,{},active",
  "For bookings ring {} or send a fax.",
  "My new cell is {} - please update it",
  "The office ({}) is closed today.",
  "Name: J. Doe\nPhone: {}\nCity: Oslo",
];

export function phone(random: Random): Sample {
  const value = digits(random, pick(random, PHONES));
  return { value, text: pick(random, SAID).replace("{}", value) };
}

const NAMES =
  "anna.schmidt jdoe maria_garcia lee+news o'connor x.y.z 42 info first-last müller kontakt.büro a1 t.k.1987 UPPER.Case sales_eu_2".split(
    " ",
  );
const HOSTS =
  "gmail.com example.org mail.corp.example.co.uk firma-gmbh.de uni-münchen.de web.museum sub.domain.example.travel hotmail.fr yahoo.co.jp x.io startup.ai 163.com proton.me gov.pl".split(
    " ",
  );
const MAIL_SAID = [
  "Send it to {}.",
  "<{}>",
  "mailto:{}",
  "{}",
  "My e-mail: {}, my name: Ann",
  "user={}&x=1",
  "From: Ann Lee <{}>\nTo: me",
  "({})",
  "“{}”",
  "cc {};",
  "contact {}!",
  "email:{}",
  "联系{}即可",
  '{"email":"{}"}',
];

export function email(random: Random): Sample {
  const value = `${pick(random, NAMES)}@${pick(random, HOSTS)}`;
  return { value, text: pick(random, MAIL_SAID).replace("{}", value) };
}

const CARD_FORMS: readonly (readonly [prefixes: readonly string[], length: number, groups: readonly number[]])[] = [
  [["4"], 16, [4, 4, 4, 4]],
  [["4"], 13, [4, 4, 5]],
  [["4"], 19, [4, 4, 4, 4, 3]],
  [["51", "52", "53", "54", "55", "2223", "2500", "2700"], 16, [4, 4, 4, 4]],
  [["34", "37"], 15, [4, 6, 5]],
  [["6011", "65", "644", "649"], 16, [4, 4, 4, 4]],
  [["3528", "3589", "35"], 16, [4, 4, 4, 4]],
  [["300", "305", "36", "38", "39"], 14, [4, 6, 4]],
  [["5018", "5020", "5038", "5893", "6304", "6759", "6761", "6763"], 16, [4, 4, 4, 4]],
  [["62"], 16, [4, 4, 4, 4]],
  [["2200"], 16, [4, 4, 4, 4]],
];
const CARD_SAID = [
  "My card is {}.",
  "{}",
  "Card number: {} exp 12/27 cvv 123",
  "card={}",
  "charge {} please",
  "PAN {}, name ANN LEE",
  "{} was declined",
  "What is the limit for card {}?",
  '{"card":"{}"}',
  "カード{}です",
];

export function card(random: Random): Sample {
  const [prefixes, length, groups] = pick(random, CARD_FORMS);
  let prefix = pick(random, prefixes);
  if (prefix === "35") prefix = `35${String(28 + below(random, 62)).padStart(2, "0")}`;
  const body = prefix + from(random, DIGITS, length - prefix.length - 1);
  let sum = 0;
  for (let at = 0; at < body.length; at += 1) {
    const digit = Number(body[body.length - 1 - at]);
    sum += at % 2 === 0 ? (digit * 2 > 9 ? digit * 2 - 9 : digit * 2) : digit;
  }
  const number = body + String((10 - (sum % 10)) % 10);
  let at = 0;
  const separated = groups.map((size) => number.slice(at, (at += size)));
  const value = separated.join(pick(random, ["", "", " ", "-", " "]));
  return { value, text: pick(random, CARD_SAID).replace("{}", value) };
}

export function ssn(random: Random): Sample {
  let area = 1 + below(random, 898);
  if (area === 666) area = 667;
  const parts = [
    String(area).padStart(3, "0"),
    String(1 + below(random, 99)).padStart(2, "0"),
    String(1 + below(random, 9_999)).padStart(4, "0"),
  ];
  const form = pick(random, ["-", "-", "-", " ", ""]);
  const value = parts.join(form);
  // A bare number of nine digits is nothing but that, unless the text says what it is.
  const said =
    form === ""
      ? ["SSN: {}", "my social security number is {}", "social security no. {}", "ssn={}"]
      : ["{}", "My SSN is {}", "SSN {}.", "Patient 12, {}, female", "id: {};", "social: {}"];
  return { value, text: pick(random, said).replace("{}", value) };
}

export function ip(random: Random): Sample {
  const group = (): string => below(random, 65_536).toString(16);
  const value = pick(random, [
    () => Array.from({ length: 4 }, () => below(random, 256)).join("."),
    () => Array.from({ length: 4 }, () => below(random, 256)).join("."),
    () => Array.from({ length: 8 }, group).join(":"),
    () =>
      Array.from({ length: 8 }, () => group().padStart(4, "0"))
        .join(":")
        .toUpperCase(),
    () => `2001:db8::${group()}`,
    () => `fe80::${group()}:${group()}:${group()}:1`,
    () => `::ffff:${Array.from({ length: 4 }, () => below(random, 256)).join(".")}`,
  ])();
  const port = value.includes(":") ? ["[{}]:8080", "{}/64"] : ["{}:8080", "{}/24", "http://{}/x"];
  return {
    value,
    text: pick(random, ["The host {} is down.", "{}", "from {} to", "ip={},", "({})", ...port]).replace("{}", value),
  };
}

/** Country, and what its accounts are made of after the check digits: digits or letters. */
const ACCOUNTS: readonly (readonly [string, string])[] = [
  ["DE", "n18"],
  ["GB", "a4n14"],
  ["FR", "n10c11n2"],
  ["ES", "n20"],
  ["IT", "a1n10c12"],
  ["NL", "a4n10"],
  ["BE", "n12"],
  ["CH", "n5c12"],
  ["AT", "n16"],
  ["PL", "n24"],
  ["PT", "n21"],
  ["SE", "n20"],
  ["NO", "n11"],
  ["DK", "n14"],
  ["FI", "n14"],
  ["IE", "a4n14"],
  ["LU", "n3c13"],
  ["GR", "n7c16"],
  ["CZ", "n20"],
  ["HU", "n24"],
  ["RO", "a4c16"],
  ["BG", "a4n6c8"],
  ["HR", "n17"],
  ["TR", "n6c16"],
  ["SA", "n2c18"],
  ["AE", "n19"],
  ["IL", "n19"],
  ["MT", "a4n5c18"],
  ["UA", "n6c19"],
  ["SK", "n20"],
];
const UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

export function iban(random: Random): Sample {
  const [country, form] = pick(random, ACCOUNTS);
  const account = form.replace(/([nac])(\d+)/g, (_all, kind: string, count: string) =>
    from(random, kind === "n" ? DIGITS : kind === "a" ? UPPER : DIGITS + UPPER, Number(count)),
  );
  const number = `${account}${country}00`
    .split("")
    .map((sign) => Number.parseInt(sign, 36))
    .join("");
  const check = String(98n - (BigInt(number) % 97n)).padStart(2, "0");
  const plain = `${country}${check}${account}`;
  const value = pick(random, [
    plain,
    plain.replace(/(.{4})(?=.)/g, "$1 "),
    plain.replace(/(.{4})(?=.)/g, "$1 "),
    plain.toLowerCase(),
  ]);
  return {
    value,
    text: pick(random, [
      "Transfer to {} today.",
      "IBAN: {}",
      "{}",
      "my iban is {}, bic XYZ",
      "Konto {};",
      '{"iban":"{}"}',
    ]).replace("{}", value),
  };
}
