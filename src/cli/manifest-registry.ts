import { Readable } from 'node:stream';
import { createRegistryClient, type RegistryClient } from '#distribution/index.ts';
import { GantryError, isGantryError } from '#errors/index.ts';
import {
  canonicalReference,
  digestOf,
  familiarReference,
  type ImageConfig,
  type ImageIndex,
  type ImageManifest,
  isIndexType,
  isManifestType,
  type Reference,
} from '#oci/index.ts';
import type { ListedPlatform, ManifestEntry } from './manifest-entry.ts';
import { credentialsFor } from './registry-credentials.ts';

/** What a registry has under a name: one manifest, or a list of them. */
export type Found =
  | { readonly kind: 'manifest'; readonly entry: ManifestEntry }
  | { readonly kind: 'list'; readonly entries: readonly ManifestEntry[] };

/** The registries as `manifest` speaks to them: the client itself, with no engine between. */
export interface ManifestRegistry extends Disposable {
  /** @throws GantryError not-found `no such manifest: …`, unauthorized, unavailable */
  find(reference: Reference): Promise<Found>;
  /** Brings an entry and its blobs into another repository of its registry, by mounts where the registry grants them. */
  copy(entry: ManifestEntry, from: Reference, to: Reference): Promise<void>;
  put(reference: Reference, manifest: { mediaType: string; bytes: Uint8Array }): Promise<string>;
}

/** An identity token is OAuth2's; without a user name there is nothing to say. */
async function registryAuth(configDirectory: string, registry: string) {
  const auth = await credentialsFor(configDirectory, registry);
  if (auth === undefined) return {};
  const { username, password, identitytoken } = auth;
  return {
    credentials: {
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(identitytoken === undefined ? {} : { identityToken: identitytoken }),
    },
  };
}

/** `insecure`: plain HTTP and certificates that do not verify are taken. */
export function manifestRegistry(configDirectory: string, { insecure }: { insecure: boolean }): ManifestRegistry {
  const client = createRegistryClient({
    insecure: () => insecure,
    certificateDirectories: ['/etc/gantry/certs.d', '/etc/docker/certs.d'],
    proxyEnvironment: process.env,
  });
  const known = new Map<string, ReturnType<typeof registryAuth>>();
  const authFor = (registry: string) => {
    const auth = known.get(registry) ?? registryAuth(configDirectory, registry);
    known.set(registry, auth);
    return auth;
  };

  async function fetched(reference: Reference) {
    try {
      return await client.getManifest(reference, await authFor(reference.registry));
    } catch (error) {
      if (!isGantryError(error, 'not-found')) throw error;
      throw new GantryError('not-found', `no such manifest: ${familiarReference(reference)}`, { cause: error });
    }
  }

  async function entryOf(reference: Reference, ref: string, listed?: ListedPlatform): Promise<ManifestEntry> {
    const { mediaType, digest, bytes } = await fetched(reference);
    if (!isManifestType(mediaType))
      throw new GantryError('unsupported', `${ref} is of the type "${mediaType}", which is no image`);
    const platform = listed ?? (await platformOf(client, reference, bytes, await authFor(reference.registry)));
    return { ref, mediaType, digest, size: bytes.length, platform, raw: bytes };
  }

  return {
    async find(reference) {
      const { mediaType, bytes } = await fetched(reference);
      const name = canonicalReference(reference);
      if (!isIndexType(mediaType)) return { kind: 'manifest', entry: await entryOf(reference, name) };
      const entries: ManifestEntry[] = [];
      const { tag: _tag, ...untagged } = reference;
      for (const { digest, platform } of (JSON.parse(bytes.toString('utf8')) as ImageIndex).manifests)
        entries.push(await entryOf({ ...untagged, digest }, `${name.replace(/@.*/, '')}@${digest}`, platform));
      return { kind: 'list', entries };
    },
    async copy(entry, from, to) {
      const auth = await authFor(to.registry);
      const { config, layers } = JSON.parse(entry.raw.toString('utf8')) as ImageManifest;
      for (const { digest, size } of [config, ...layers])
        await client.putBlob(
          to,
          {
            digest,
            size,
            open: async ({ start, end }) =>
              upTo(await client.getBlob(from, digest, { ...auth, start }), end - start + 1),
          },
          { ...auth, mountFrom: [from.repository] },
        );
    },
    async put(reference, manifest) {
      return (await client.putManifest(reference, manifest, await authFor(reference.registry))).digest;
    },
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}

/** Of the image's configuration. @throws GantryError corrupt */
async function platformOf(
  client: RegistryClient,
  reference: Reference,
  manifest: Buffer,
  auth: Awaited<ReturnType<typeof registryAuth>>,
): Promise<ListedPlatform> {
  const { config } = JSON.parse(manifest.toString('utf8')) as ImageManifest;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of await client.getBlob(reference, config.digest, auth)) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size > config.size) break;
  }
  const bytes = Buffer.concat(chunks);
  if (digestOf(bytes) !== config.digest)
    throw new GantryError(
      'corrupt',
      `the configuration ${config.digest} of ${familiarReference(reference)} is not what its digest says`,
    );
  const { architecture, os, variant, ...rest } = JSON.parse(bytes.toString('utf8')) as ImageConfig & ListedPlatform;
  return {
    architecture,
    os,
    ...(rest['os.version'] === undefined ? {} : { 'os.version': rest['os.version'] }),
    ...(rest['os.features'] === undefined ? {} : { 'os.features': rest['os.features'] }),
    ...(variant === undefined ? {} : { variant }),
  };
}

/** The first `length` bytes; what comes after is not read. */
const upTo = (source: Readable, length: number): Readable =>
  Readable.from(
    (async function* () {
      let left = length;
      for await (const chunk of source as AsyncIterable<Buffer>) {
        yield chunk.subarray(0, left);
        left -= chunk.length;
        if (left <= 0) return;
      }
    })(),
    { objectMode: false },
  );
