import { defineCommand } from '../command.ts';
import { readConfig } from '../config-file.ts';
import { contextExists, removeContext } from '../context-store.ts';
import { Failure } from '../failure.ts';
import { flag } from '../options.ts';
import { writeError, writeOut } from '../output.ts';
import { writeConfig } from '../write-config.ts';

export const command = defineCommand({
  usage: 'CONTEXT [CONTEXT...]',
  summary: 'Remove one or more contexts',
  aliases: ['context rm', 'context remove'],
  options: { force: flag('Force the removal of a context in use', { short: 'f' }) },
  args: [1, Number.POSITIVE_INFINITY],
  async run({ configDirectory: directory, contextName }, { values, args }) {
    const problems: string[] = [];
    for (const name of args) {
      const problem = remove(directory, name, contextName, values.force);
      if (problem === undefined) writeOut(`${name}\n`);
      else problems.push(problem);
    }
    if (problems.length > 0) throw new Failure(problems.join('\n'), 1);
    return 0;
  },
});

/** Undefined where it is gone, else why it is not. */
function remove(directory: string, name: string, current: string, force: boolean): string | undefined {
  if (name === 'default') return 'context "default" cannot be removed';
  if (!contextExists(directory, name)) return force ? undefined : `context "${name}" does not exist`;
  const { currentContext, ...others } = readConfig(directory);
  if (name === current || name === currentContext) {
    if (!force) return `context "${name}" is in use, set -f flag to force remove`;
    if (name === currentContext) {
      writeConfig(directory, others);
      writeError(`Current context is now "default"\n`);
    }
  }
  removeContext(directory, name);
  return undefined;
}
