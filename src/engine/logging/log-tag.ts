import { hostname } from 'node:os';
import { GantryError } from '#errors/index.ts';
import type { Container } from '../engine.ts';

/** What a tag may say of its container (Docker: log tags). */
const fields: Readonly<Record<string, (container: Container) => string>> = {
  ID: ({ id }) => id.slice(0, 12),
  FullID: ({ id }) => id,
  Name: ({ name }) => name,
  ImageID: ({ imageId }) => imageId.replace(/^sha256:/, '').slice(0, 12),
  ImageFullID: ({ imageId }) => imageId,
  ImageName: ({ imageName }) => imageName,
  Command: ({ resolved }) => [resolved.path, ...resolved.args].join(' '),
  Hostname: () => hostname(),
  DaemonName: () => 'gantry',
};

/**
 * A tag with its container's facts, e.g. `{{.ImageName}}/{{.Name}}`. Without a container it is checked only.
 * @throws GantryError invalid, naming what it does not know
 */
export function expandTag(template: string, container: Container | undefined): string {
  return template.replace(/\{\{(.*?)\}\}/g, (whole, inner: string) => {
    const name = /^-?\s*\.(\w+)\s*-?$/.exec(inner)?.[1] ?? '';
    const read = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (read === undefined)
      throw new GantryError(
        'invalid',
        `log tag "${template}": ${whole} is not known; known are ${Object.keys(fields)
          .map((field) => `{{.${field}}}`)
          .join(', ')}`,
      );
    return container === undefined ? '' : read(container);
  });
}
