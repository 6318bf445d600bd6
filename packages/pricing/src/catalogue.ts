/**
 * What models can do. A collection that others maintain (models.dev), kept in models.json and renewed by `node tools/catalogue.ts`:
 * nothing of it is written here. What it does not say is unknown, and refuses nothing.
 */
import catalogue from "./models.json" with { type: "json" };

export interface Capabilities {
  /** Tokens of input; undefined: unknown, as everywhere here. */
  readonly contextWindow?: number;
  /** Tokens of one answer. */
  readonly maxOutput?: number;
  /** Calls functions. */
  readonly tools?: boolean;
  /** Sees pictures. */
  readonly images?: boolean;
  /** Hears. */
  readonly audio?: boolean;
  /** Reads PDFs. */
  readonly documents?: boolean;
  /** Answers by a JSON schema. */
  readonly structuredOutput?: boolean;
  /** Can think before it answers. */
  readonly reasoning?: boolean;
}

const NOTHING: Capabilities = {};

const makers = new Map<string, ReadonlyMap<string, Capabilities>>(
  Object.entries(catalogue.makers).map(([maker, models]) => [maker, new Map(Object.entries<Capabilities>(models))]),
);

/** Whose models they are that clouds serve. */
const ALSO = new Map([
  ["azure", "openai"],
  ["google", "anthropic"],
]);

/**
 * @param maker as in the price book: "openai", "azure", "aws", "google", …
 * @param model as the provider calls it; of a region, a date or a version that is not known, what is known of the model without it
 */
export function capabilitiesOf(maker: string, model: string): Capabilities {
  for (const one of [maker, ALSO.get(maker) ?? maker]) {
    const models = makers.get(one);
    if (models === undefined) continue;
    for (const name of namesOf(model)) {
      const found = models.get(name);
      if (found !== undefined) return found;
    }
  }
  return NOTHING;
}

const REGION = /^(?:us-gov|us|eu|apac|au|jp|ca|global)\./;
/** "@20250929", "-20250929", "-2024-07-18", "-2512", "-v1:0", "-latest", "-001". */
const EDITION = /(?:@\w+|[-:](?:\d{8}|\d{4}-\d\d-\d\d|\d\d-\d{4}|\d{4}|latest|v\d+(?::\d+)?|\d{3}))$/;

/** From what it is called to what it is called without its region and its editions. */
function namesOf(model: string): readonly string[] {
  const names = [model];
  const anywhere = model.replace(REGION, "");
  let name = anywhere;
  for (;;) {
    if (!names.includes(name)) names.push(name);
    // Vertex writes a date as "@20250929", Anthropic as "-20250929".
    const dated = name.replace("@", "-");
    if (!names.includes(dated)) names.push(dated);
    const shorter = name.replace(EDITION, "");
    if (shorter === name) return [...names, `${name}-latest`];
    name = shorter;
  }
}
