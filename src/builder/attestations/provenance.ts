import { Readable } from 'node:stream';
import type { BuildRequest } from '../builder.ts';

export const provenanceType = 'https://slsa.dev/provenance/v1';

/** How an image came to be. */
export interface Made {
  readonly request: BuildRequest;
  readonly platform: string;
  readonly mode: 'min' | 'max';
  readonly dockerfile: { readonly name: string; readonly text: string };
  /** Base images by the digests of their manifests. */
  readonly bases: readonly { readonly reference: string; readonly digest: string }[];
  readonly invocation: string;
  /** RFC 3339; absent where SOURCE_DATE_EPOCH makes the same image on any day. */
  readonly times: { readonly started: string; readonly finished: string } | undefined;
}

const purlOfImage = (reference: string): string => `pkg:docker/${reference.replace(/:([^:/]*)$/, '@$1')}`;

/**
 * SLSA provenance v1. `min` has nothing that could be a secret: build arguments and the Dockerfile are told with `max`
 * alone, and what a secret holds never.
 */
export function provenanceOf({ request, platform, mode, dockerfile, bases, invocation, times }: Made) {
  const { context, target, labels, buildArgs, secrets, agents, networkMode } = request;
  // A request that carries the context has a URL too, with all arguments in it.
  const source = !(context instanceof Readable) && 'url' in context ? { uri: withoutPassword(context.url) } : {};
  const whole = mode === 'max';
  return {
    buildDefinition: {
      buildType: 'https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md',
      externalParameters: {
        configSource: { ...source, path: dockerfile.name },
        request: {
          frontend: 'dockerfile.v0',
          args: {
            ...(target === undefined ? {} : { target }),
            ...(networkMode === undefined ? {} : { 'force-network-mode': networkMode }),
            ...(whole ? prefixed('build-arg', buildArgs) : {}),
            ...(whole ? prefixed('label', labels) : {}),
          },
          ...(secrets === undefined || !whole ? {} : { secrets: Object.keys(secrets).map((id) => ({ id })) }),
          ...(agents === undefined || !whole ? {} : { ssh: Object.keys(agents).map((id) => ({ id })) }),
        },
      },
      internalParameters: {
        builderPlatform: platform,
        ...(whole ? { dockerfile: Buffer.from(dockerfile.text).toString('base64') } : {}),
      },
      resolvedDependencies: bases.map(({ reference, digest }) => ({
        uri: purlOfImage(reference),
        digest: { sha256: digest.replace('sha256:', '') },
      })),
    },
    runDetails: {
      builder: { id: 'urn:gantry:builder' },
      metadata: {
        ...(times === undefined
          ? {}
          : { invocationId: invocation, startedOn: times.started, finishedOn: times.finished }),
        buildkit_completeness: { request: whole, resolvedDependencies: false },
        buildkit_reproducible: times === undefined,
      },
    },
  };
}

const prefixed = (kind: string, values: Readonly<Record<string, string | null>>) =>
  Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (value === null ? [] : [[`${kind}:${name}`, value]])),
  );

/** A URL is told without who may read it. */
function withoutPassword(url: string): string {
  return url.replace(/^(\w+:\/\/)[^/@]*@/, '$1');
}
