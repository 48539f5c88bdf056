import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { encodePlan, operations, type PlanStep } from '../../src/runtime/plan.ts';
import { project } from '../harness/program.ts';

/** Every operation once, with arguments of every shape. */
const steps: readonly PlanStep[] = Object.entries(operations).map(([name, [code, signature]]) => ({
  name: name as PlanStep['name'],
  args: [...signature].map((kind) => {
    if (kind === 'n') return BigInt(code) << 33n;
    if (kind === 's') return `/path/of/${name}`;
    return kind === 'b' ? Buffer.from(`bytes of ${name}`) : [name, '', 'a longer string of a list'];
  }),
}));

describe('the launcher’s decoder of plans, under the sanitizers', () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'gantry-plan-fuzz-'));
    execFileSync('cc', [
      ...['-O1', '-g', '-std=c17', '-Wall', '-Werror', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
      ...[`-I${project}/native`, '-o', `${directory}/fuzz`],
      ...[`${import.meta.dirname}/plan-fuzz.c`, `${project}/native/launcher/plan.c`],
    ]);
  });
  after(() => rmSync(directory, { recursive: true }));

  test('takes a whole plan, and reads nothing beyond its bytes however it is damaged', () => {
    const input = encodePlan(steps);
    for (const seed of [1, 2, 3, 5, 8]) {
      const out = execFileSync(`${directory}/fuzz`, [String(seed), '4000'], { input, encoding: 'utf8' });
      const [taken = 0] = out.split(' ').map(Number);
      assert.ok(taken >= 1 && taken < 4000, `seed ${seed}: ${out}`);
      assert.match(out, / read\n$/);
    }
    assert.equal(execFileSync(`${directory}/fuzz`, ['1', '0'], { input, encoding: 'utf8' }), '1 read\n');
    assert.equal(execFileSync(`${directory}/fuzz`, ['1', '100'], { input: '', encoding: 'utf8' }), '0 empty\n');
  });
});
