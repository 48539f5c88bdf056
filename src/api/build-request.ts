import type { Readable } from 'node:stream';
import type { BuildRequest, CacheTarget, Entitlement, NamedContext, StepLimits } from '#builder/index.ts';
import { GantryError, messageOf } from '#errors/index.ts';
import type { Credentials } from '#images/index.ts';
import type { ClientSession } from './build-sessions.ts';
import { flag, integer, type Query } from './query.ts';

/** JSON of a parameter; absent, empty and null are the fallback. @throws GantryError invalid, naming the parameter */
export function jsonOf<T>(name: string, text: string | undefined, fallback: T): T {
  if (text === undefined || text === '') return fallback;
  try {
    return (JSON.parse(text) as T | null) ?? fallback;
  } catch (error) {
    throw new GantryError('invalid', `the parameter ${name} is not JSON: ${messageOf(error)}`);
  }
}

/** X-Registry-Config: base64url JSON, credentials by registry. @throws GantryError invalid */
export function credentialsByHost(header: string | string[] | undefined): Readonly<Record<string, Credentials>> {
  if (typeof header !== 'string' || header === '') return {};
  const parsed = jsonOf<Record<string, { username?: string; password?: string; identitytoken?: string }>>(
    'X-Registry-Config',
    Buffer.from(header, 'base64url').toString('utf8'),
    {},
  );
  return Object.fromEntries(
    Object.entries(parsed).map(([host, auth]) => [
      host.replace(/^https?:\/\//, '').replace(/\/.*$/, ''),
      auth.identitytoken
        ? { identityToken: auth.identitytoken }
        : { username: auth.username ?? '', password: auth.password ?? '' },
    ]),
  );
}

/** Options of the Engine API that are understood and not built: giving one is an error that names it. */
const unbuilt: Readonly<Record<string, string>> = {
  isolation: 'it is for Windows',
  credentialspecs: 'it is for Windows',
};

/**
 * The query of POST /build (Engine API: ImageBuild) and what a session of ours adds, as a request of the builder.
 * @throws GantryError invalid, unsupported: no option is passed over in silence
 */
export function buildRequestOf(
  query: Query,
  body: Readable,
  tags: readonly string[],
  credentials: BuildRequest['credentials'],
  session: Session | undefined,
): BuildRequest {
  for (const [name, why] of Object.entries(unbuilt))
    if (query[name] && !['default', '[]', 'null'].includes(query[name]))
      throw new GantryError('unsupported', `build option ${name}="${query[name]}" is not supported: ${why}`);
  const strings = (name: string) => jsonOf<readonly string[]>(name, query[name], []);
  const limits = limitsOf(query);
  const extraHosts = strings('extrahosts');
  const entitlements = strings('allow').map(entitlementOf);
  const outputs = jsonOf<readonly { Type?: string }[]>('outputs', query.outputs, []);
  const cacheFrom = strings('cachefrom');
  const cacheTo = jsonOf<readonly { type?: string; ref?: string; mode?: string }[]>('cacheto', query.cacheto, []).map(
    cacheTargetOf,
  );
  if (cacheTo.filter(({ type }) => type === 'local').length > 1)
    throw new GantryError('unsupported', 'results go to one directory; give --cache-to type=local once');
  return {
    context: contextOf(query, body, session),
    dockerfile: query.dockerfile || 'Dockerfile',
    tags,
    buildArgs: jsonOf<Record<string, string | null>>('buildargs', query.buildargs, {}),
    labels: jsonOf<Record<string, string>>('labels', query.labels, {}),
    noCache: flag(query.nocache),
    noCacheStages: strings('nocachefilter'),
    pull: flag(query.pull),
    squash: flag(query.squash),
    check: flag(query.check),
    credentials,
    ...(query.target ? { target: query.target } : {}),
    ...(query.networkmode ? { networkMode: query.networkmode } : {}),
    ...(query.platform ? { platform: query.platform } : {}),
    ...attestationsOf(query),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(extraHosts.length === 0 ? {} : { extraHosts }),
    ...(entitlements.length === 0 ? {} : { entitlements }),
    ...(outputs.some(({ Type }) => isRootfs(Type)) ? { output: 'rootfs' as const } : {}),
    ...(cacheTo.length === 0 ? {} : { cacheTo }),
    ...(cacheFrom.length === 0 ? {} : { cacheFrom: cacheFrom.map((from) => cacheSourceOf(from, session)) }),
    ...(session === undefined ? {} : sessionParts(query, session)),
  };
}

/** @throws GantryError invalid */
function contextOf(query: Query, body: Readable, session: Session | undefined): BuildRequest['context'] {
  if (query.remote && query.remote !== 'client-session') return { url: query.remote };
  if (query.context === undefined) return body;
  if (query.context !== 'listed' || session === undefined)
    throw new GantryError('invalid', `context "${query.context}" is listed, and needs a session`);
  return { offer: session.client.takeOffer(), body };
}

function sessionParts(
  query: Query,
  { client, signal }: Session,
): Pick<BuildRequest, 'secrets' | 'agents' | 'namedContexts'> {
  const agents = jsonOf<readonly string[]>('ssh', query.ssh, []);
  const contexts = jsonOf<Record<string, { image?: string; url?: string }>>('contexts', query.contexts, {});
  return {
    secrets: client.secrets,
    agents: Object.fromEntries(agents.map((id) => [id, () => client.agent(id)])),
    namedContexts: Object.fromEntries(
      Object.entries(contexts).map(([name, { image, url }]): [string, NamedContext] => [
        name,
        image !== undefined
          ? { from: 'image', reference: image }
          : url !== undefined
            ? { from: 'remote', url }
            : { from: 'tar', tar: () => client.upload(name, signal) },
      ]),
    ),
  };
}

type Session = { readonly client: ClientSession; readonly signal: AbortSignal };

/** `session:NAME` is an archive that the client sends. @throws GantryError invalid */
function cacheSourceOf(from: string, session: Session | undefined): string | (() => Promise<Readable>) {
  if (!from.startsWith('session:')) return from;
  if (session === undefined) throw new GantryError('invalid', `cachefrom "${from}" needs a session`);
  return () => session.client.upload(from.slice('session:'.length), session.signal);
}

/** @throws GantryError invalid */
function cacheTargetOf({
  type = '',
  ref = '',
  mode = 'min',
}: {
  type?: string;
  ref?: string;
  mode?: string;
}): CacheTarget {
  if (mode !== 'min' && mode !== 'max') throw new GantryError('invalid', `cache mode "${mode}" is min or max`);
  if (type === 'inline') return { type };
  if (type === 'local') return { type, mode };
  if (type !== 'registry') throw new GantryError('invalid', `cache type "${type}" is inline, registry or local`);
  if (ref === '') throw new GantryError('invalid', 'a cache in a registry needs ref=');
  return { type, reference: ref, mode };
}

/** Whether an output is the target's files, and not an image. @throws GantryError unsupported */
function isRootfs(type: string | undefined): boolean {
  if (type === 'local' || type === 'tar') return true;
  if (type !== undefined && !['', 'image', 'docker', 'oci', 'registry', 'moby'].includes(type))
    throw new GantryError(
      'unsupported',
      `build output type "${type}" is not known; it is image, local, tar, oci or docker`,
    );
  return false;
}

/** @throws GantryError invalid */
function attestationsOf({ sbom, provenance = '' }: Query): Pick<BuildRequest, 'attestations'> {
  if (provenance !== '' && provenance !== 'min' && provenance !== 'max')
    throw new GantryError('invalid', `provenance "${provenance}" is min or max`);
  if (!flag(sbom) && provenance === '') return {};
  return { attestations: { sbom: flag(sbom), ...(provenance === '' ? {} : { provenance }) } };
}

function entitlementOf(text: string): Entitlement {
  if (text === 'network.host' || text === 'security.insecure') return text;
  throw new GantryError('invalid', `entitlement "${text}" is not known; it is network.host or security.insecure`);
}

function limitsOf(query: Query): StepLimits {
  const number = (name: string): number | undefined => integer(name, query[name]) || undefined;
  const some = <K extends keyof StepLimits>(key: K, value: StepLimits[K] | undefined): Pick<StepLimits, K> | object =>
    value === undefined ? {} : { [key]: value };
  const ulimits = jsonOf<readonly { Name: string; Soft: number; Hard: number }[]>('ulimits', query.ulimits, []);
  return {
    ...some('memoryBytes', number('memory')),
    ...some('memorySwapBytes', number('memswap')),
    ...some('cpuShares', number('cpushares')),
    ...some('cpuPeriod', number('cpuperiod')),
    ...some('cpuQuota', number('cpuquota')),
    ...some('cpusetCpus', query.cpusetcpus || undefined),
    ...some('cgroupParent', query.cgroupparent || undefined),
    ...some('cpusetMems', query.cpusetmems || undefined),
    ...some('shmSizeBytes', number('shmsize')),
    ...some(
      'ulimits',
      ulimits.length === 0
        ? undefined
        : ulimits.map(({ Name, Soft, Hard }) => ({ name: Name, soft: Soft, hard: Hard })),
    ),
  };
}
