import { GantryError } from '#errors/index.ts';
import { isDigest } from './digest.ts';

/** A normalised image reference. `registry` is `docker.io` where none was given. */
export interface Reference {
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
}

const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const repositoryPattern = new RegExp(`^${component}(?:/${component})*$`);
const tagPattern = /^\w[\w.-]{0,127}$/;
/** A registry's host, with its port where it is not the usual one. */
export const hostPattern = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;

/**
 * Parses what a person types: `busybox`, `ana/hello:v1`, `host:5000/ana/hello@sha256:…`. A name with neither tag
 * nor digest gets the tag `latest` unless `defaultTag` is null.
 * @throws GantryError invalid (code `reference-invalid`), naming the value and the part that is wrong.
 */
export function parseReference(text: string, defaultTag: string | null = 'latest'): Reference {
  const fail = (why: string) =>
    new GantryError('invalid', `invalid reference format: "${text}": ${why}`, { code: 'reference-invalid' });
  if (text === '') throw fail('the name is empty');
  let rest = text;
  let digest: string | undefined;
  const at = rest.indexOf('@');
  if (at >= 0) {
    digest = rest.slice(at + 1);
    rest = rest.slice(0, at);
    if (!isDigest(digest)) throw fail(`"${digest}" is not a digest`);
  }
  let registry = 'docker.io';
  const slash = rest.indexOf('/');
  const first = slash < 0 ? '' : rest.slice(0, slash);
  if (
    first !== '' &&
    (first.includes('.') || first.includes(':') || first === 'localhost' || first !== first.toLowerCase())
  ) {
    if (!hostPattern.test(first)) throw fail(`"${first}" is not a registry host`);
    registry = first === 'index.docker.io' ? 'docker.io' : first;
    rest = rest.slice(slash + 1);
  }
  let tag: string | undefined;
  const colon = rest.lastIndexOf(':');
  if (colon >= 0) {
    tag = rest.slice(colon + 1);
    rest = rest.slice(0, colon);
    if (!tagPattern.test(tag)) throw fail(`"${tag}" is not a tag`);
  }
  if (rest !== rest.toLowerCase()) throw fail('repository name must be lowercase');
  if (!repositoryPattern.test(rest) || rest.length > 255) throw fail(`"${rest}" is not a repository name`);
  if (registry === 'docker.io' && !rest.includes('/')) rest = `library/${rest}`;
  if (tag === undefined && digest === undefined && defaultTag !== null) tag = defaultTag;
  return {
    registry,
    repository: rest,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The name without tag or digest, as shown to people: Docker Hub's `docker.io/library/` is left out. */
export function familiarName(ref: Reference): string {
  if (ref.registry !== 'docker.io') return `${ref.registry}/${ref.repository}`;
  return ref.repository.startsWith('library/') ? ref.repository.slice('library/'.length) : ref.repository;
}

/** The whole reference as shown to people, e.g. `busybox:latest`. */
export const familiarReference = (ref: Reference): string =>
  familiarName(ref) + (ref.tag === undefined ? '' : `:${ref.tag}`) + (ref.digest === undefined ? '' : `@${ref.digest}`);

/** The canonical form used as a key in stores: always with registry. */
export const canonicalReference = (ref: Reference): string =>
  `${ref.registry}/${ref.repository}${ref.tag === undefined ? '' : `:${ref.tag}`}${ref.digest === undefined ? '' : `@${ref.digest}`}`;
