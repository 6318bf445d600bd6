/**
 * A second set, by formats that test data generators and public sets of labelled text have (telephone plans by country, issuers' ranges as
 * generators know them), and what is taken for personal data and is none. Made apart from the detectors' tables.
 */
import { below, from, pick, type Random } from "../planted.ts";
import type { Sample } from "./personal.ts";

const DIGITS = "0123456789";
const HEX = "0123456789abcdef";

/** #: any digit, N: 2 to 9, !: 1 to 9. */
const filled = (random: Random, form: string): string =>
  form.replace(/[#N!]/g, (sign) =>
    pick(random, (sign === "#" ? DIGITS : sign === "N" ? "23456789" : "123456789").split("")),
  );

const PHONES = [
  // International, as directories write it
  "+46-## ### ####",
  "+33-## ### ####",
  "+56 ## ###-####",
  "+1.N##-N## ####",
  "+41 ## ### ## ##",
  "0041-##-### ## ##",
  "0033# ##.##.##.##",
  "+44 20 #### ####",
  "+49 30 ########",
  "+49-151-########",
  "+39 06 #### ####",
  "+90 5## ### ## ##",
  "+7 9## ###-##-##",
  "+234 80# ### ####",
  "+62 8##-####-####",
  "+63 9## ### ####",
  "+84 9# ### ## ##",
  "+66 8 #### ####",
  "+20 1# #### ####",
  "+27 8# ### ####",
  "+52 1 55 #### ####",
  "+972-5#-###-####",
  "+971 5# ### ####",
  "+65 #### ####",
  "+852 #### ####",
  "+353 8# ### ####",
  "+30 69# ### ####",
  "+47 ### ## ###",
  "+45 ## ## ## ##",
  // National
  "0!# #### ####",
  "0!## ###-####",
  "0!### ######",
  "0!-## ## ## ##",
  "0!.##.##.##.##",
  "(0!##) #######",
  "(##) ####-####",
  "0!#.####.####",
  "0!########",
  "N##-N##-####",
  "(N##) N##-####",
  "N##.N##.####",
  "N## N## ####",
  "1-N##-N##-####",
  "1 (N##) N##-####",
  "N##-N##-#### ext. ####",
  "N##-N##-#### x###",
  "(N##)N##-####",
  "+1N##N######",
  "001-N##-N##-####",
  "###-###-####",
];
const PHONE_SAID = [
  "You can contact us at {} for further questions.",
  "Dear Sir, our number {} has changed.",
  "{}",
  "Student: J. Petrov, phone {}, group 4",
  "- **Tel**: {}\n- **Room**: 12",
  '{"phoneNumber": "{}", "name": "x"}',
  "Emergency contact ({}): his mother.",
  "rappelez-moi au {} demain",
  "Telefon {} oder per Post",
  "llámame al {}, por favor",
];

export function phone(random: Random): Sample {
  const value = filled(random, pick(random, PHONES));
  return { value, text: pick(random, PHONE_SAID).replace("{}", value) };
}

/** As Faker for Python and for JavaScript have them. */
const CARDS = [
  "34#############",
  "37#############",
  "300###########",
  "305###########",
  "36############",
  "38############",
  "6011############",
  "65##############",
  "644#############",
  "35##############",
  "2131###########",
  "1800###########",
  "51##############",
  "55##############",
  "2221############",
  "2720############",
  "4############",
  "4###############",
  "4##################",
  "5018########",
  "5020########",
  "6304########",
  "6759########",
  "6761########",
  "6763########",
  "0604########",
  "5893############",
  "6390############",
  "62##############",
  "637#############",
];
const GROUPS = ["4-4-4-4", "4-4-4-4-3", "4-6-5", "4-6-4", "4-4-4"];

export function card(random: Random): Sample {
  const form = pick(random, CARDS);
  const body = filled(random, form).slice(0, -1);
  let sum = 0;
  for (let at = 0; at < body.length; at += 1) {
    const digit = Number(body[body.length - 1 - at]) * (at % 2 === 0 ? 2 : 1);
    sum += digit > 9 ? digit - 9 : digit;
  }
  const number = body + String((10 - (sum % 10)) % 10);
  const groups = GROUPS.find((one) => one.split("-").reduce((all, size) => all + Number(size), 0) === number.length);
  let value = number;
  if (groups !== undefined && random() < 0.5) {
    let at = 0;
    value = groups
      .split("-")
      .map((size) => number.slice(at, (at += Number(size))))
      .join(pick(random, ["-", " "]));
  }
  const said = [
    "Charge it to {}, please.",
    "{}",
    "cc: {} / 04-29",
    "The card ending {} was used",
    "**{}**",
    "<td>{}</td>",
    "number={}&cvc=1",
  ];
  return { value, text: pick(random, said).replace("{}", value) };
}

export function ssn(random: Random): Sample {
  let area = 1 + below(random, 899);
  if (area === 666) area = 665;
  const parts = [
    String(area).padStart(3, "0"),
    String(1 + below(random, 99)).padStart(2, "0"),
    String(1 + below(random, 9_999)).padStart(4, "0"),
  ];
  const bare = random() < 0.25;
  const value = parts.join(bare ? "" : pick(random, ["-", "-", " ", "."]));
  const said = bare
    ? [
        "SSN {}",
        "ssn: {}",
        "Social Security Number: {}",
        "my social is {}",
        "{} is my SSN",
        '{"ssn":"{}"}',
        "social_security_number={}",
        "SSN# {}",
      ]
    : [
        "{}",
        "SSN:{}",
        "SSN-{}",
        "born 1980, {}, Ohio",
        "The number {} is on file",
        "({})",
        "ID {}, please",
        "Taxpayer {}",
      ];
  return { value, text: pick(random, said).replace("{}", value) };
}

export function ip(random: Random): Sample {
  const byte = (): number => below(random, 256);
  const group = (): string => below(random, 65_536).toString(16);
  const value = pick(random, [
    () => `${byte()}.${byte()}.${byte()}.${byte()}`,
    () => `10.${byte()}.${byte()}.${byte()}`,
    () => `${group()}:${group()}:${group()}:${group()}:${group()}:${group()}:${group()}:${group()}`,
    () => `2a02:${group()}::${group()}`,
    () => `fd${from(random, HEX, 2)}:${group()}:${group()}::1`,
    () => `64:ff9b::${byte()}.${byte()}.${byte()}.${byte()}`,
  ])();
  const said = [
    "Login from {} at 12:01:07.",
    "ip:{}",
    "src={} dst=other",
    '"clientIp": "{}"',
    "{} - - [21/Nov/2026:10:00:00 +0000] GET /",
    "Failed password for root from {} port 22 ssh2",
    "x-forwarded-for: {}, unknown",
    "ping {}\n",
    "my address is {}.",
  ];
  return { value, text: pick(random, said).replace("{}", value) };
}

type Make = (random: Random) => string;
const digits = (random: Random, length: number): string => from(random, DIGITS, length);

/** What is taken for a person's and is none. */
export const NOT_PERSONAL: readonly Make[] = [
  (r) => `Order ${digits(r, 8)} was shipped, invoice INV-2026-${digits(r, 5)}.`,
  (r) => `Tracking number 1Z${digits(r, 6)}${digits(r, 10)}`,
  (r) => `ISBN 978-3-${digits(r, 2)}-${digits(r, 6)}-${digits(r, 1)}`,
  (r) =>
    `upgraded from ${below(r, 9)}.${below(r, 20)}.${below(r, 20)} to ${below(r, 9)}.${below(r, 20)}.${below(r, 20)}-beta.${below(r, 9)}`,
  (r) => `version ${below(r, 9)}.${below(r, 20)}.${below(r, 20)}.${below(r, 200)}`,
  (r) => `Mozilla/5.0 (X11; Linux) Chrome/${100 + below(r, 30)}.0.${below(r, 9000)}.${below(r, 200)} Safari/537.36`,
  (r) => `commit ${from(r, HEX, 40)}`,
  (r) => `${from(r, HEX, 8)}-${from(r, HEX, 4)}-4${from(r, HEX, 3)}-a${from(r, HEX, 3)}-${from(r, HEX, 12)}`,
  (r) =>
    `2026-${String(1 + below(r, 12)).padStart(2, "0")}-${String(1 + below(r, 28)).padStart(2, "0")}T12:${digits(r, 2)}:${digits(r, 2)}.${digits(r, 3)}Z`,
  (r) => `{"created":17${digits(r, 8)},"updated_ms":17${digits(r, 11)}}`,
  (r) =>
    `It cost $${1 + below(r, 900)},${digits(r, 3)}.${digits(r, 2)} in 2024 and 1 ${digits(r, 3)} ${digits(r, 3)} kr in 2025.`,
  (r) => `lat 5${below(r, 9)}.${digits(r, 6)}, lon 1${below(r, 9)}.${digits(r, 6)}`,
  (r) => `mac 00:1b:${from(r, HEX, 2)}:${from(r, HEX, 2)}:${from(r, HEX, 2)}:${from(r, HEX, 2)}`,
  (r) => `std::vector<int>::iterator it; a::b::c${below(r, 9)}`,
  (r) => `https://shop.example/item/${digits(r, 10)}?ref=${digits(r, 6)}`,
  (r) => `build #${digits(r, 6)}, job ${digits(r, 9)}, pid ${digits(r, 5)}`,
  (r) => `import { a } from "@scope/package@${below(r, 9)}.${below(r, 20)}.0"; icon@2x.png`,
  (r) =>
    `pages 123-145, vol. ${below(r, 90)}, doi:10.${digits(r, 4)}/s${digits(r, 5)}-${digits(r, 3)}-${digits(r, 5)}-${below(r, 9)}`,
  (r) => `rgb(${below(r, 256)}, ${below(r, 256)}, ${below(r, 256)}) #${from(r, HEX, 6)}; width: ${below(r, 900)}px`,
  (r) => `SELECT * FROM t WHERE id IN (${digits(r, 6)}, ${digits(r, 6)}, ${digits(r, 6)})`,
  (r) => `[0.${digits(r, 8)}, -0.${digits(r, 8)}, 0.${digits(r, 8)}]`,
  (r) => `at 10:${digits(r, 2)} on 2026-11-21, 3-2-1, 7/8, ${below(r, 9)}:${below(r, 9)} after 90 minutes`,
  (r) => `part no. ${digits(r, 3)}-${digits(r, 4)}-${digits(r, 2)}, EAN 4${digits(r, 12)}`,
  (r) => `sha256:${from(r, HEX, 64)} size ${digits(r, 9)}`,
];

const AN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LOWER = "abcdefghijklmnopqrstuvwxyz0123456789";
const UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/** By the rules that scanners of repositories publish for each issuer. */
export const SCANNED: Readonly<Record<string, Make>> = {
  airtable: (r) => `AIRTABLE_TOKEN=pat${from(r, AN, 14)}.${from(r, HEX, 64)}`,
  "azure client secret": (r) => `${from(r, AN, 3)}8Q~${from(r, AN, 34)}`,
  clojars: (r) => `CLOJARS_${from(r, LOWER, 60)}`,
  "digitalocean refresh": (r) => `dor_v1_${from(r, HEX, 64)}`,
  "discord bot": (r) => `MT${from(r, AN, 22)}.G${from(r, AN, 5)}.${from(r, AN, 38)}`,
  dynatrace: (r) => `dt0c01.${from(r, UPPER, 24)}.${from(r, UPPER, 64)}`,
  easypost: (r) => `EZAK${from(r, LOWER, 54)}`,
  flutterwave: (r) => `FLWSECK_TEST-${from(r, HEX, 12)}`,
  frameio: (r) => `fio-u-${from(r, AN, 64)}`,
  "github oauth": (r) => `gho_${from(r, AN, 36)}`,
  "github refresh": (r) => `ghr_${from(r, AN, 36)}`,
  "gitlab runner": (r) => `glrt-${from(r, AN, 20)}`,
  "gitlab feed": (r) => `glft-${from(r, AN, 20)}`,
  grafana: (r) => `glc_${from(r, AN, 60)}`,
  "hashicorp terraform": (r) => `${from(r, LOWER, 14)}.atlasv1.${from(r, AN, 64)}`,
  heroku: (r) => `HRKU-AA${from(r, AN, 58)}`,
  hubspot: (r) =>
    `pat-na1-${from(r, HEX, 8)}-${from(r, HEX, 4)}-4${from(r, HEX, 3)}-a${from(r, HEX, 3)}-${from(r, HEX, 12)}`,
  mailchimp: (r) => `${from(r, HEX, 32)}-us1${below(r, 9)}`,
  mailersend: (r) => `mlsn.${from(r, HEX, 64)}`,
  netlify: (r) => `nfp_${from(r, AN, 36)}`,
  nuget: (r) => `oy2${from(r, LOWER, 43)}`,
  octopus: (r) => `API-${from(r, UPPER, 26)}`,
  openshift: (r) => `sha256~${from(r, AN, 43)}`,
  plaid: (r) =>
    `access-sandbox-${from(r, HEX, 8)}-${from(r, HEX, 4)}-${from(r, HEX, 4)}-${from(r, HEX, 4)}-${from(r, HEX, 12)}`,
  planetscale: (r) => `pscale_tkn_${from(r, AN, 43)}`,
  prefect: (r) => `pnu_${from(r, LOWER, 36)}`,
  pulumi: (r) => `pul-${from(r, HEX, 40)}`,
  readme: (r) => `rdme_${from(r, LOWER, 70)}`,
  resend: (r) => `re_${from(r, AN, 8)}_${from(r, AN, 24)}`,
  rubygems: (r) => `rubygems_${from(r, HEX, 48)}`,
  sendinblue: (r) => `xkeysib-${from(r, HEX, 64)}-${from(r, LOWER, 16)}`,
  shippo: (r) => `shippo_live_${from(r, HEX, 40)}`,
  "slack webhook": (r) =>
    `https://hooks.slack.com/services/T${from(r, UPPER, 8)}/B${from(r, UPPER, 10)}/${from(r, AN, 24)}`,
  sonar: (r) => `squ_${from(r, HEX, 40)}`,
  sourcegraph: (r) => `sgp_${from(r, HEX, 16)}_${from(r, HEX, 40)}`,
  square: (r) => `EAAA${from(r, AN, 60)}`,
  supabase: (r) => `sbp_${from(r, HEX, 40)}`,
  tailscale: (r) => `tskey-auth-${from(r, AN, 12)}-${from(r, AN, 30)}`,
  typeform: (r) => `tfp_${from(r, AN, 59)}`,
  "teams webhook": (r) =>
    `https://acme.webhook.office.com/webhookb2/${from(r, HEX, 8)}-${from(r, HEX, 4)}-4${from(r, HEX, 3)}-a${from(r, HEX, 3)}-${from(r, HEX, 12)}@${from(r, HEX, 8)}-${from(r, HEX, 4)}-4${from(r, HEX, 3)}-a${from(r, HEX, 3)}-${from(r, HEX, 12)}/IncomingWebhook/${from(r, HEX, 32)}/${from(r, HEX, 8)}-${from(r, HEX, 4)}-4${from(r, HEX, 3)}-a${from(r, HEX, 3)}-${from(r, HEX, 12)}`,
  "vault batch": (r) => `hvb.${from(r, AN, 140)}`,
  "algolia by name": (r) => `algolia_api_key = "${from(r, HEX, 32)}"`,
  "asana by name": (r) => `asana_client_secret: ${from(r, LOWER, 32)}`,
  "cloudflare by name": (r) => `CLOUDFLARE_API_TOKEN=${from(r, AN, 40)}`,
  "cohere by name": (r) => `CO_API_KEY=${from(r, AN, 40)}`,
  "mistral by name": (r) => `MISTRAL_API_KEY='${from(r, AN, 32)}'`,
  "okta by name": (r) => `okta_token: "00${from(r, AN, 40)}"`,
  "snyk by name": (r) =>
    `SNYK_TOKEN=${from(r, HEX, 8)}-${from(r, HEX, 4)}-4${from(r, HEX, 3)}-a${from(r, HEX, 3)}-${from(r, HEX, 12)}`,
  "vercel by name": (r) => `VERCEL_TOKEN="${from(r, AN, 24)}"`,
};
