import { defineCommand } from '../command.ts';
import { Failure } from '../failure.ts';
import { inspectObjects, type ObjectKind } from '../inspect-objects.ts';
import { flag, text } from '../options.ts';

const kinds: readonly ObjectKind[] = ['container', 'image', 'network', 'volume'];

export const command = defineCommand({
  usage: '[OPTIONS] NAME|ID [NAME|ID...]',
  summary: 'Return low-level information on Docker objects',
  options: {
    format: text("Format output: 'json' or a Go template", { short: 'f' }),
    size: flag('Display total file sizes if the type is container', { short: 's' }),
    type: text('Only inspect objects of the given type'),
  },
  args: [1, Number.POSITIVE_INFINITY],
  run({ engine }, { values, args }) {
    const asked = kinds.filter((kind) => values.type === '' || kind === values.type);
    if (asked.length === 0)
      throw new Failure(`"${values.type}" is not a valid value for --type; expected ${kinds.join(', ')}`, 1);
    return inspectObjects(engine, args, {
      kinds: asked,
      format: values.format,
      size: values.size,
      unknown: (name) => `Error: No such ${values.type || 'object'}: ${name}`,
    });
  },
});
