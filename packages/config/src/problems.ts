export interface Problem {
  /** Where: "models.fast.targets[0].provider"; "" for the file as a whole. */
  readonly path: string;
  /** "weir.yaml:12" or "WEIR_HTTP_LISTEN"; undefined where there is no such place. */
  readonly origin: string | undefined;
  readonly message: string;
}

/** All that is wrong with a configuration, so that one look mends it. Never holds a value that may be secret. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(
      `the configuration has ${problems.length} problem${problems.length === 1 ? "" : "s"}:\n${problems.map(line).join("\n")}`,
    );
    this.problems = problems;
  }
}

function line({ path, origin, message }: Problem): string {
  const where = [origin, path].filter((part) => part !== undefined && part !== "").join(" ");
  return `  ${where === "" ? "" : `${where}: `}${message}`;
}

export type Path = readonly (string | number)[];

/** ["models", "a b", 0] → `models["a b"][0]`. */
export function renderPath(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(step)) text += text === "" ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}
