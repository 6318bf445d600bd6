import {
  type BootedWeir,
  type BootOptions,
  bootWeir,
  type Composition,
  type Simulator,
  startSimulator,
} from "@weir/testkit";

/** One model per kind of provider; all but echo have the simulator behind them. */
export const MODELS = [
  "m-echo",
  "m-openai",
  "m-compatible",
  "m-anthropic",
  "m-gemini",
  "m-azure",
  "m-vertex",
  "m-vertex-claude",
  "m-bedrock",
  "m-mistral",
  "m-cohere",
  "m-tgi",
] as const;

/** Weir with a provider simulator behind it. */
export interface Whole extends AsyncDisposable {
  readonly weir: BootedWeir;
  readonly simulator: Simulator;
}

const configOf = (simulator: string): string => `
providers:
  openai: { kind: openai, base_url: "${simulator}/v1", api_key: "env:TEST_PROVIDER_KEY" }
  compatible: { kind: openai-compatible, base_url: "${simulator}/v1", api_key: "env:TEST_PROVIDER_KEY" }
  claude: { kind: anthropic, base_url: "${simulator}", api_key: "env:TEST_PROVIDER_KEY" }
  gemini: { kind: gemini, base_url: "${simulator}/v1beta", api_key: "env:TEST_PROVIDER_KEY" }
  azure:
    { kind: azure-openai, base_url: "${simulator}", api_key: "env:TEST_PROVIDER_KEY", settings: { api_version: 2024-10-21 } }
  vertex:
    kind: vertex
    base_url: "${simulator}/v1"
    api_key: "env:TEST_PROVIDER_KEY"
    settings: { project: p, location: europe-west1 }
  bedrock:
    kind: bedrock
    base_url: "${simulator}"
    region: eu-central-1
    settings: { access_key_id: AKIDEXAMPLE, secret_access_key: "env:TEST_PROVIDER_KEY" }
  mistral: { kind: mistral, base_url: "${simulator}/mistral/v1", api_key: "env:TEST_PROVIDER_KEY" }
  cohere: { kind: cohere, base_url: "${simulator}/cohere/v2", api_key: "env:TEST_PROVIDER_KEY" }
  tgi: { kind: tgi, base_url: "${simulator}/v1", api_key: "env:TEST_PROVIDER_KEY" }
models:
  m-echo: { targets: [{ provider: echo, model: echo }] }
  m-openai: { targets: [{ provider: openai, model: gpt-4o-mini }] }
  m-compatible:
    targets: [{ provider: compatible, model: llama-3.3-70b }]
    price: { input_usd_per_mtok: 0.10, output_usd_per_mtok: 0.40 }
  m-anthropic: { targets: [{ provider: claude, model: claude-haiku-4-5 }] }
  m-gemini: { targets: [{ provider: gemini, model: gemini-2.5-flash }] }
  m-azure: { targets: [{ provider: azure, model: gpt-4o-mini }] }
  m-vertex: { targets: [{ provider: vertex, model: gemini-2.5-flash }] }
  m-vertex-claude: { targets: [{ provider: vertex, model: claude-haiku-4-5 }] }
  m-bedrock: { targets: [{ provider: bedrock, model: "eu.anthropic.claude-haiku-4-5-20251001-v1:0" }] }
  m-mistral: { targets: [{ provider: mistral, model: mistral-large-latest }] }
  m-cohere: { targets: [{ provider: cohere, model: command-r-08-2024 }] }
  m-tgi:
    targets: [{ provider: tgi, model: tgi }]
    price: { input_usd_per_mtok: 0.10, output_usd_per_mtok: 0.40 }
`;

export async function bootWhole(composition: Composition, options: BootOptions = {}): Promise<Whole> {
  const simulator = await startSimulator();
  try {
    const weir = await bootWeir(composition, {
      ...options,
      config: configOf(simulator.origin) + (options.config ?? ""),
      env: { TEST_PROVIDER_KEY: "sk-simulated-provider-key", ...options.env },
    });
    return {
      weir,
      simulator,
      async [Symbol.asyncDispose]() {
        await weir[Symbol.asyncDispose]();
        await simulator[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await simulator[Symbol.asyncDispose]();
    throw error;
  }
}
