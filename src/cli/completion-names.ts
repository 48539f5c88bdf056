import type { ContainerSummary, ImageSummary, NetworkSummary, VolumeSummary } from '#client/index.ts';
import type { CommandContext } from './command.ts';
import type { Candidate, Completion, Kind } from './complete.ts';
import { groupNames } from './help.ts';
import { program } from './program.ts';

/** What is there of a kind, as the engine and the client's files tell it. @throws GantryError, Failure */
export async function candidatesOf(context: CommandContext, kind: Kind, current: string): Promise<Completion> {
  const only = (candidates: readonly Candidate[]): Completion => ({ candidates, files: false });
  if (typeof kind !== 'string') return only(kind.map((value) => ({ value })));
  switch (kind) {
    case 'files':
      return { candidates: [], files: true };
    case 'containers':
      return only(await containers(context, {}));
    case 'running':
      return only(await containers(context, { status: ['running'] }));
    case 'stopped':
      return only(await containers(context, { status: ['created', 'exited'] }));
    case 'paused':
      return only(await containers(context, { status: ['paused'] }));
    case 'images':
      return only(await images(context, current));
    case 'networks': {
      const listed = await context.engine.json<readonly NetworkSummary[]>('GET', '/networks');
      return only(listed.map(({ Name, Driver }) => ({ value: Name, about: Driver })));
    }
    case 'volumes': {
      const { Volumes } = await context.engine.json<{ Volumes: readonly VolumeSummary[] | null }>('GET', '/volumes');
      const names = (Volumes ?? []).map(({ Name, Driver }) => ({ value: Name, about: Driver }));
      return { candidates: names, files: /^[./~]/.test(current) };
    }
    case 'contexts': {
      const { listContexts } = await import('./context-store.ts');
      const stored = listContexts(context.configDirectory).map((one) => ({
        value: one.Name,
        about: one.Metadata.Description ?? '',
      }));
      return only([...stored, { value: 'default', about: 'What the environment says' }]);
    }
    case 'registries':
      return only(Object.keys(context.config.auths ?? {}).map((value) => ({ value })));
    case 'runtimes': {
      const { Runtimes } = await context.engine.json<{ Runtimes?: Readonly<Record<string, unknown>> }>('GET', '/info');
      return only(Object.keys(Runtimes ?? {}).map((value) => ({ value })));
    }
    case 'objects': {
      const kinds = ['containers', 'images', 'networks', 'volumes'] as const;
      const all = await Promise.all(kinds.map((each) => candidatesOf(context, each, current)));
      return only(all.flatMap(({ candidates }) => candidates));
    }
    case 'paths':
      return {
        candidates: (await containers(context, {})).map(({ value, about = '' }) => ({ value: `${value}:`, about })),
        files: true,
      };
    case 'commands':
      return only([
        ...program.flatMap(({ names: [name = ''] }) => (name.includes(' ') ? [] : [{ value: name }])),
        ...groupNames.map((value) => ({ value })),
      ]);
  }
}

async function containers(
  { engine }: CommandContext,
  filters: Readonly<Record<string, readonly string[]>>,
): Promise<readonly Candidate[]> {
  const listed = await engine.json<readonly ContainerSummary[]>('GET', '/containers/json', {
    query: { all: true, filters: JSON.stringify(filters) },
  });
  return listed.map(({ Names, Image, Status }) => ({
    value: (Names[0] ?? '').replace(/^\//, ''),
    about: `${Image}, ${Status}`,
  }));
}

/** Names with their tags; one whose tag is `latest` also without. Ids where an id is being typed. */
async function images({ engine }: CommandContext, current: string): Promise<readonly Candidate[]> {
  const listed = await engine.json<readonly ImageSummary[]>('GET', '/images/json');
  return listed.flatMap(({ Id, RepoTags }) => {
    const id = Id.replace('sha256:', '');
    const tags = (RepoTags ?? []).filter((tag) => tag !== '<none>:<none>');
    return [
      ...tags.flatMap((tag) => (tag.endsWith(':latest') && !current.includes(':') ? [tag.slice(0, -7), tag] : [tag])),
      ...(/^[0-9a-f]{2,}$/.test(current) && id.startsWith(current) ? [id.slice(0, 12)] : []),
    ].map((value) => ({ value }));
  });
}
