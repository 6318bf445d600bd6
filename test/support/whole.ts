import {
  type BootedWeir,
  type BootOptions,
  bootWeir,
  type Composition,
  type Simulator,
  startSimulator,
} from "@weir/testkit";

/** One model per kind of provider; all but echo have the simulator behind them. */
export const MODELS = ["m-echo", "m-openai", "m-compatible", "m-anthropic", "m-gemini"] as const;

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
models:
  m-echo: { targets: [{ provider: echo, model: echo }] }
  m-openai: { targets: [{ provider: openai, model: gpt-4o-mini }] }
  m-compatible:
    targets: [{ provider: compatible, model: llama-3.3-70b }]
    price: { input_usd_per_mtok: 0.10, output_usd_per_mtok: 0.40 }
  m-anthropic: { targets: [{ provider: claude, model: claude-haiku-4-5 }] }
  m-gemini: { targets: [{ provider: gemini, model: gemini-2.5-flash }] }
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
