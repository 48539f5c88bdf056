import type { Container } from '#engine/index.ts';
import { GantryError } from '#errors/index.ts';
import type { Image } from '#images/index.ts';
import { chainIdOf } from '#oci/index.ts';
import { publishedOf } from './network-shapes.ts';
import { flag, labelsFit, pattern } from './query.ts';

type Filters = ReadonlyMap<string, readonly string[]>;

/** Keys of `filters` of GET /containers/json. */
export const containerFilters = [
  'ancestor',
  'annotation',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'is-task',
  'isolation',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
] as const;

const states = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'];
const healths = ['none', 'starting', 'healthy', 'unhealthy'];

/** What the filters look things up in. */
export interface FilterSources {
  /** @throws GantryError not-found */
  container(nameOrId: string): Container;
  /** @throws GantryError not-found, invalid */
  image(nameOrId: string): Promise<Image>;
}

/** @throws GantryError invalid, naming the value */
function oneOf(key: string, known: readonly string[], values: readonly string[] | undefined): void {
  for (const value of values ?? [])
    if (!known.includes(value))
      throw new GantryError('invalid', `invalid filter '${key}=${value}'; expected one of ${known.join(', ')}`);
}

const chainsOf = ({ rootfs }: Image['config']): readonly string[] =>
  rootfs.diff_ids.map((_, index, ids) => chainIdOf(ids.slice(0, index + 1)) ?? '');

/** Whether a container's image is one of those named, or is made on top of one (Engine API: `ancestor`). */
async function ancestorTest(
  names: readonly string[] | undefined,
  sources: FilterSources,
): Promise<(container: Container) => boolean> {
  if (names === undefined) return () => true;
  const images = await Promise.all(
    names.map(async (name) => ({ name, image: await sources.image(name).catch(() => undefined) })),
  );
  return (container) =>
    images.some(({ name, image }) => {
      if (name === container.imageName || image?.id === container.imageId) return true;
      const chain = image === undefined ? undefined : chainsOf(image.config).at(-1);
      return chain !== undefined && chainsOf(container.imageConfig).includes(chain);
    });
}

interface Range {
  readonly first: number;
  readonly last: number;
  readonly protocol: string;
}

/** `80`, `80/udp` or `8000-8010/tcp`. @throws GantryError invalid */
function rangeOf(text: string): Range {
  const [, first = '', last = first, protocol = 'tcp'] = /^(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/.exec(text) ?? [];
  if (first === '') throw new GantryError('invalid', `invalid port "${text}"; expected e.g. 80, 80/udp, 8000-8010/tcp`);
  return { first: Number(first), last: Number(last), protocol };
}

const inRange = ({ first, last, protocol }: Range, port: number, of: string): boolean =>
  port >= first && port <= last && of === protocol;

/** Whether a container fits `filters`; each key must, by one of its values. @throws GantryError invalid, not-found */
export async function containerTest(
  wanted: Filters,
  sources: FilterSources,
): Promise<(container: Container) => boolean> {
  oneOf('status', states, wanted.get('status'));
  oneOf('health', healths, wanted.get('health'));
  for (const code of wanted.get('exited') ?? [])
    if (!/^\d+$/.test(code)) throw new GantryError('invalid', `invalid filter 'exited=${code}'; expected an exit code`);
  const names = wanted.get('name')?.map((name) => pattern(name));
  const isAncestor = await ancestorTest(wanted.get('ancestor'), sources);
  const [before] = wanted.get('before') ?? [];
  const [since] = wanted.get('since') ?? [];
  const newest = before === undefined ? undefined : sources.container(before).created;
  const oldest = since === undefined ? undefined : sources.container(since).created;
  const publish = wanted.get('publish')?.map(rangeOf);
  const expose = wanted.get('expose')?.map(rangeOf);
  const some = (key: string, fits: (value: string) => boolean): boolean => wanted.get(key)?.some(fits) ?? true;
  return (c) =>
    some('id', (id) => c.id.startsWith(id)) &&
    (names?.some((name) => name.test(c.name) || name.test(`/${c.name}`)) ?? true) &&
    some('status', (status) => status === c.state.status) &&
    some('exited', (code) => c.state.status === 'exited' && c.state.exitCode === Number(code)) &&
    some('health', (health) => health === (c.health?.status ?? 'none')) &&
    some('is-task', (yes) => !flag(yes)) &&
    some('isolation', (kind) => kind === 'default') &&
    isAncestor(c) &&
    (newest === undefined || c.created < newest) &&
    (oldest === undefined || c.created > oldest) &&
    labelsFit(c.resolved.labels, wanted.get('label')) &&
    labelsFit(c.options.annotations ?? {}, wanted.get('annotation')) &&
    some('network', (name) => inNetwork(c, name)) &&
    some('volume', (text) =>
      c.mounts.some(({ name, source, target }) => text === name || text === target || text === source),
    ) &&
    (publish?.some((range) => asked(c).some((p) => inRange(range, p.containerPort, p.protocol))) ?? true) &&
    (expose?.some((range) =>
      c.resolved.exposedPorts.some((port) => inRange(range, Number.parseInt(port, 10), port.split('/')[1] ?? 'tcp')),
    ) ??
      true);
}

/** Ports of the container that are published, or will be when it runs: Docker's `publish` names the inner one. */
const asked = (container: Container) => [...(container.options.ports ?? []), ...publishedOf(container)];

const inNetwork = ({ networks, options }: Container, name: string): boolean =>
  networks === undefined || networks.length === 0
    ? (options.networkMode ?? 'bridge') === name
    : networks.some(({ networkId, networkName }) => networkName === name || networkId.startsWith(name));
