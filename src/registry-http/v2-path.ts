/** What a path below `/v2/` means (distribution-spec: endpoints). */
export type V2Path =
  | { readonly kind: 'base' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'tags'; readonly name: string }
  | { readonly kind: 'manifest'; readonly name: string; readonly reference: string }
  | { readonly kind: 'blob'; readonly name: string; readonly digest: string }
  | { readonly kind: 'uploads'; readonly name: string }
  | { readonly kind: 'upload'; readonly name: string; readonly id: string }
  | { readonly kind: 'referrers'; readonly name: string; readonly digest: string };

/** Reads a request's path. A name may hold words like `blobs` too, so the end decides. Undefined where it is none of ours. */
export function parseV2Path(path: string): V2Path | undefined {
  if (path === '/v2' || path === '/v2/') return { kind: 'base' };
  if (path === '/v2/_catalog') return { kind: 'catalog' };
  const tags = /^\/v2\/(.+)\/tags\/list$/.exec(path);
  if (tags !== null) return { kind: 'tags', name: tags[1] ?? '' };
  const upload = /^\/v2\/(.+)\/blobs\/uploads(?:\/([^/]*))?$/.exec(path);
  if (upload !== null) {
    const [, name = '', id = ''] = upload;
    return id === '' ? { kind: 'uploads', name } : { kind: 'upload', name, id };
  }
  const last = /^\/v2\/(.+)\/(manifests|blobs|referrers)\/([^/]+)$/.exec(path);
  if (last === null) return undefined;
  const [, name = '', what, end = ''] = last;
  if (what === 'manifests') return { kind: 'manifest', name, reference: end };
  return { kind: what === 'blobs' ? 'blob' : 'referrers', name, digest: end };
}
