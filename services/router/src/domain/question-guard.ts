/**
 * What two questions must have in common to the letter, however near their vectors are: embeddings hardly tell "is it safe" from "is it not
 * safe", 2023 from 2024, Paris from Lyon. Its result is part of the name under which a question lies, so that no two that differ in it are ever
 * compared. Errs on the safe side: what differs here without need costs a call, what is missed gives a wrong answer. It knows words of English, and
 * negations of some other languages.
 */

/** Of each kind, in the order of the text; the same for questions that may do for each other. */
export function guardOf(question: string): string {
  const text = question.normalize("NFKC");
  const code: string[] = [];
  const prose = text.replace(CODE, (found) => {
    code.push(found.replace(/\s+/g, " ").trim());
    return " \u0000 ";
  });
  const quoted = Array.from(prose.matchAll(QUOTED), (found) => found[1] ?? found[2] ?? found[3] ?? found[4] ?? "");
  const marked: string[] = [];
  const names: string[] = [];
  const turning: string[] = [];
  let begins = true;
  for (const [token] of prose.matchAll(TOKEN)) {
    if (/^[.!?:;\n]$/.test(token)) {
      begins = true;
      continue;
    }
    const word = token.replaceAll("\u2019", "'");
    const small = word.toLowerCase();
    if (isMarked(word)) marked.push(small);
    else if (TURNING.has(small) || small.endsWith("n't") || /^(un|non|dis|anti)-?\p{L}{4,}/u.test(small))
      turning.push(small);
    else if (begins ? !OPENERS.has(small) : isName(word)) names.push(small);
    begins = false;
  }
  return JSON.stringify([code, quoted, marked, turning, names]);
}

/** Fenced, and between ticks. */
const CODE = /```[\s\S]*?(?:```|$)|~~~[\s\S]*?(?:~~~|$)|`[^`\n]+`/g;
const QUOTED =
  /"([^"\n]+)"|\u201c([^\u201c\u201d\n]+)\u201d|\u00ab([^\u00ab\u00bb\n]+)\u00bb|(?<![\p{L}\p{N}])'([^'\n]+)'(?![\p{L}\p{N}])/gu;
/** Words with all that holds them together (1.5, a_b, x.y, user@host, C++, -3, 50%, don't), ends of sentences, and signs that mean something. */
const TOKEN =
  /[\n!?;]|[.:](?=\s|$)|[-+$\u20ac\u00a3#@]?[\p{L}\p{N}_](?:[\p{L}\p{N}\p{M}_]|[.:/@\\'\u2019,=-](?=[\p{L}\p{N}_])|[%+#]|\/)*|[<>=\u2264\u2265\u2260]+|[-+*/^\u00d7\u00f7](?<=[\p{N})]\s*.)(?=\s*[\p{N}(])/gu;

/** Numbers, dates, versions, addresses, identifiers, comparisons: what is not a word of prose. */
const isMarked = (word: string): boolean =>
  /[\p{N}_@\\/<>=%$#+\u20ac\u00a3\u2264\u2265\u2260]|^\P{L}$/u.test(word) ||
  /\p{L}[.:=]\p{L}/u.test(word) ||
  /\p{Ll}\p{Lu}/u.test(word) ||
  NUMBERS.has(word.toLowerCase());

/** Of people, places and products. German writes every noun so: there it costs hits. */
const isName = (word: string): boolean => /^\p{Lu}/u.test(word) && word !== "I" && !word.startsWith("I'");

const words = (list: string): string[] => list.split(" ");

const NUMBERS: ReadonlySet<string> = new Set(
  words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty " +
      "thirty forty fifty sixty seventy eighty ninety hundred thousand million billion half quarter third double triple twice once first second " +
      "fourth fifth sixth seventh eighth ninth tenth last",
  ),
);

/** Words that turn what is asked: negations, opposites, and what is asked for. */
const TURNING: ReadonlySet<string> = new Set(
  words(
    "no not nor never none nobody nothing nowhere neither without except unless cannot cant dont doesnt didnt wont isnt arent wasnt shouldnt " +
      "couldnt wouldnt hardly rarely seldom instead false true wrong right correct incorrect fail fails failed lack lacks avoid stop prevent " +
      "nicht kein keine keinen keiner keinem nie niemals ohne ne pas jamais sans aucun aucune sin nunca ning\u00fan ninguna ningun nada n\u00e3o nem sem " +
      "non mai senza nessun nessuna niet geen nooit zonder ikke ingen inte aldrig \u043d\u0435 \u043d\u0435\u0442 \u043d\u0438\u043a\u043e\u0433\u0434\u0430 \u0431\u0435\u0437 " +
      "who whom whose when where why all every only " +
      "before after until since during more less most least fewer few max min maximum minimum maximal minimal above below over under up down off " +
      "left north south east west top bottom inside outside " +
      "increase decrease raise lower add remove delete create insert drop enable disable allow deny permit forbid accept reject open close start " +
      "begin end finish install uninstall connect disconnect lock unlock encrypt decrypt encode decode compress decompress upload download import " +
      "export push pull read write buy sell lend borrow send receive win lose gain loss profit credit debit income expense " +
      "best worst better worse good bad big small large long short high low hot cold old new young fast slow early late cheap expensive hard easy " +
      "hardest easiest strong weak heavy light dark male female man woman men women boy girl mother father son daughter brother sister husband wife " +
      "he she his her him hers yesterday today tomorrow always sometimes often daily weekly monthly yearly morning evening day night " +
      "yes pro pros con cons advantage advantages disadvantage disadvantages benefit benefits risk risks cause causes effect effects " +
      "public private internal external local remote client server input output horizontal vertical row rows column columns ascending descending " +
      "asc desc forward backward synchronous asynchronous sync async",
  ),
);

/** How sentences begin that ask: any other first word is a name, or what is to be done. */
const OPENERS: ReadonlySet<string> = new Set(
  words(
    "what what's whats how how's which is are was were am be can could do does did will would should may might must have has had please tell " +
      "hi hello hey ok okay so well and but or if for in on at of to from with about as by i i'm i'd i've we you it it's there this that these those " +
      "the a an my our your me us some any let let's sorry thanks thank also",
  ),
);
