import { defineCommand } from '../command.ts';
import { onUnhealthy } from '../container-options.ts';
import { Failure } from '../failure.ts';
import { forEachName } from '../for-each-name.ts';
import { list, text } from '../options.ts';
import { writeError } from '../output.ts';
import { parsePorts } from '../port-spec.ts';
import { resourceOptions, resourcesBody } from '../resource-options.ts';
import { restartPolicyOf } from '../restart-policy.ts';

export const command = defineCommand({
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Update configuration of one or more containers',
  aliases: ['container update', 'update'],
  options: {
    ...resourceOptions,
    'health-on-unhealthy': onUnhealthy(),
    'publish-add': list("Publish a container's port(s) to the host, at once"),
    'publish-rm': list('No longer publish a port ([[IP:]HOST:]CONTAINER[/PROTOCOL])'),
    restart: text('Restart policy to apply when a container exits'),
  },
  args: [1, Number.POSITIVE_INFINITY],
  async run({ engine }, flags) {
    const { values, given, args } = flags;
    if (given.size === 0) throw new Failure('you must provide one or more flags when using this command', 1);
    const json = {
      ...resourcesBody(flags),
      ...(given.has('restart') ? { RestartPolicy: restartPolicyOf(values.restart) } : {}),
      ...(given.has('health-on-unhealthy') ? { HealthOnUnhealthy: values['health-on-unhealthy'] } : {}),
      ...(given.has('publish-add') ? { PublishAdd: parsePorts(values['publish-add']).bindings } : {}),
      ...(given.has('publish-rm') ? { PublishRemove: parsePorts(values['publish-rm']).bindings } : {}),
    };
    return await forEachName(args, async (name) => {
      const { Warnings } = await engine.json<{ Warnings: readonly string[] | null }>(
        'POST',
        `/containers/${encodeURIComponent(name)}/update`,
        { json },
      );
      for (const warning of Warnings ?? []) writeError(`${warning}\n`);
    });
  },
});
