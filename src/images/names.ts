import { GantryError } from '#errors/index.ts';
import { canonicalReference, familiarReference, parseReference, type Reference } from '#oci/index.ts';

/** `registry/repository`: the key of a repository in the tables. */
export const repositoryKey = ({ registry, repository }: Reference): string =>
  canonicalReference({ registry, repository });

/** `registry/repository:tag`: the key of a tag. */
export const tagKey = ({ registry, repository, tag = 'latest' }: Reference): string =>
  canonicalReference({ registry, repository, tag });

/** A key as people see it: without Docker Hub's name. */
export const familiarKey = (key: string): string => familiarReference(parseReference(key, null));

/** The reference of something that is to carry a tag. @throws GantryError invalid where it names a digest */
export function tagReference(text: string): Reference {
  const ref = parseReference(text);
  if (ref.digest !== undefined)
    throw new GantryError('invalid', `refusing to create a tag with a digest reference: "${text}"`, {
      code: 'reference-invalid',
    });
  return ref;
}
