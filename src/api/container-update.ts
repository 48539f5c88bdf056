import type { ContainerUpdate } from '#engine/index.ts';
import { GantryError } from '#errors/index.ts';
import type { PortPattern } from '#network/index.ts';
import { portOf, portsOf, restartPolicyOf, unhealthyActionOf } from './container-create.ts';
import { builtUpdate, refuseFields } from './refuse-fields.ts';
import { resourceOptionsOf } from './resource-limits.ts';
import type { updateBody } from './schema/container.ts';
import type { ShapeOf } from './schema/schema.ts';

export type UpdateBody = ShapeOf<typeof updateBody>;
type PortBindings = NonNullable<UpdateBody['PublishAdd']>;

function patternsOf(bindings: PortBindings): PortPattern[] {
  return Object.entries(bindings).flatMap(([port, hosts]) =>
    (hosts === null || hosts.length === 0 ? [{}] : hosts).map(({ HostIp, HostPort }): PortPattern => {
      if (HostPort && !/^\d+$/.test(HostPort))
        throw new GantryError('invalid', `invalid host port "${HostPort}" for ${port}`);
      return {
        ...portOf(port),
        ...(HostIp ? { hostAddress: HostIp } : {}),
        ...(HostPort ? { hostPort: Number(HostPort) } : {}),
      };
    }),
  );
}

/** What an update changes; absent, null and zero leave a limit as it is. @throws GantryError invalid | unsupported, by name */
export function containerUpdateOf(body: UpdateBody): ContainerUpdate {
  refuseFields('', body, builtUpdate);
  const policy = body.RestartPolicy;
  // Docker's `no` is a policy here: it takes the one away that is set.
  const restartPolicy =
    policy?.Name === 'no'
      ? ({ name: 'no', maximumRetryCount: 0 } as const)
      : policy?.Name
        ? restartPolicyOf({ RestartPolicy: policy })
        : undefined;
  const [add, remove] = [portsOf(body.PublishAdd ?? {}), patternsOf(body.PublishRemove ?? {})];
  return {
    ...resourceOptionsOf(body),
    ...unhealthyActionOf(body.HealthOnUnhealthy),
    ...(add.length + remove.length === 0 ? {} : { publish: { add, remove } }),
    ...(restartPolicy === undefined ? {} : { restartPolicy }),
  };
}
