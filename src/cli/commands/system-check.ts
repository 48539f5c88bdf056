import { defineCommand } from '../command.ts';
import { flag } from '../options.ts';
import { writeOut } from '../output.ts';

interface StoreReport {
  readonly blobs: number;
  readonly layers: number;
  readonly images: number;
  readonly problems: readonly { kind: string; subject: string; problem: string; repaired?: string }[];
}

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: "Verify every blob, unpacked layer and reference of the engine's store",
  aliases: ['system check'],
  options: {
    quick: flag('Look only whether all is there; read no contents'),
    repair: flag('Put right what can be'),
  },
  args: [0, 0],
  async run({ engine }, { values }) {
    const { blobs, layers, images, problems } = await engine.json<StoreReport>('POST', '/gantry/check', {
      query: { quick: values.quick || undefined, repair: values.repair || undefined },
    });
    for (const { kind, subject, problem, repaired } of problems)
      writeOut(`${kind} ${subject}: ${problem}${repaired === undefined ? '' : ` (${repaired})`}\n`);
    const left = problems.filter(({ repaired }) => repaired === undefined).length;
    const found =
      problems.length === 0 ? 'no problem' : `${problems.length} problem${problems.length === 1 ? '' : 's'}`;
    writeOut(
      `${images} images, ${layers} layers, ${blobs} blobs: ${found}${values.repair && left < problems.length ? `, ${problems.length - left} repaired` : ''}\n`,
    );
    if (left > 0 && !values.repair) writeOut("'gantry system check --repair' puts right what can be\n");
    return left === 0 ? 0 : 1;
  },
});
