import type { ContainerUpdate } from '#engine/index.ts';
import { restartPolicyOf } from './container-create.ts';
import { builtUpdate, refuseFields } from './refuse-fields.ts';
import { type ResourcesBody, resourceOptionsOf } from './resource-limits.ts';

/** The body of POST /containers/{id}/update. */
export interface UpdateBody extends ResourcesBody {
  RestartPolicy?: { Name?: string; MaximumRetryCount?: number } | null;
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
  return { ...resourceOptionsOf(body), ...(restartPolicy === undefined ? {} : { restartPolicy }) };
}
