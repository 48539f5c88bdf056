import { parseDockerfile } from '#dockerfile/index.ts';
import { GantryError } from '#errors/index.ts';
import type { ImageRunConfig } from '#oci/index.ts';
import { type ConfigInstruction, changeConfig, environment } from './run-config.ts';

const kinds: Readonly<Record<ConfigInstruction['kind'], true>> = {
  ENV: true,
  LABEL: true,
  WORKDIR: true,
  USER: true,
  STOPSIGNAL: true,
  EXPOSE: true,
  VOLUME: true,
  CMD: true,
  ENTRYPOINT: true,
  HEALTHCHECK: true,
  SHELL: true,
  ONBUILD: true,
};
const changes = (kind: string): kind is ConfigInstruction['kind'] => Object.hasOwn(kinds, kind);

/**
 * Applies Dockerfile instructions, one a line, to an image's configuration: `--change` of commit and import.
 * @throws GantryError invalid for what does not parse, and for an instruction that is about files
 */
export function applyChanges(config: ImageRunConfig, lines: readonly string[]): ImageRunConfig {
  if (lines.length === 0) return config;
  const file = parseDockerfile(`FROM scratch\n${lines.join('\n')}\n`, '--change');
  let changed = config;
  let cmdSet = false;
  for (const instruction of file.stages[0]?.instructions ?? []) {
    if (!changes(instruction.kind))
      throw new GantryError(
        'invalid',
        `${instruction.kind} is not a valid change command; known are ${Object.keys(kinds).join(', ')}`,
      );
    const env = environment(changed);
    ({ config: changed } = changeConfig(changed, instruction as ConfigInstruction, {
      lookup: (name) => env.get(name),
      escape: file.escape,
      cmdSet,
    }));
    cmdSet ||= instruction.kind === 'CMD';
  }
  if (file.stages.length > 1) throw new GantryError('invalid', 'FROM is not a valid change command');
  return changed;
}
