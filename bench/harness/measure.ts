import { setTimeout } from 'node:timers/promises';

/** One contender of a bench: what is timed, and what is done between two rounds. */
export interface Contender {
  readonly name: string;
  run(): Promise<void>;
  readonly between?: () => Promise<void>;
}

export interface Figures {
  readonly name: string;
  readonly minimumMs: number;
  readonly medianMs: number;
}

/** The contenders that run on this machine; one that does not is named with its reason and left out. The first must. */
export async function able(contenders: readonly Contender[]): Promise<readonly Contender[]> {
  const fit: Contender[] = [];
  for (const contender of contenders) {
    try {
      await contender.run();
      await contender.between?.();
      fit.push(contender);
    } catch (error) {
      if (fit.length === 0) throw error;
      console.error(`${contender.name} is left out: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return fit;
}

/**
 * Times contenders in turn, round after round, so that what disturbs the machine disturbs all of them; the first round
 * warms up and does not count. What a contender leaves to be done after its answer gets `settleMs`, not the next one's time.
 */
export async function measure(
  contenders: readonly Contender[],
  rounds: number,
  { settleMs = 0 } = {},
): Promise<readonly Figures[]> {
  const times = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const { name, run, between } of contenders) {
      const began = performance.now();
      await run();
      const took = performance.now() - began;
      if (round > 0) times.get(name)?.push(took);
      await between?.();
      if (settleMs > 0) await setTimeout(settleMs);
    }
  }
  return [...times].map(([name, all]) => {
    const sorted = all.toSorted((a, b) => a - b);
    return { name, minimumMs: sorted[0] ?? 0, medianMs: sorted[Math.floor(sorted.length / 2)] ?? 0 };
  });
}

/** Prints figures as a Markdown table; the ratio is of medians, to the first row. */
export function print(title: string, figures: readonly Figures[]): void {
  const [base] = figures;
  console.log(`\n### ${title}\n\n| | minimum ms | median ms | ratio |\n|---|--:|--:|--:|`);
  for (const { name, minimumMs, medianMs } of figures) {
    const ratio = base === undefined || base.medianMs === 0 ? 1 : medianMs / base.medianMs;
    console.log(`| ${name} | ${minimumMs.toFixed(1)} | ${medianMs.toFixed(1)} | ${ratio.toFixed(2)} |`);
  }
}
