/** A package that is installed in an image, as a database in it says. */
export interface InstalledPackage {
  readonly kind: 'deb' | 'apk' | 'rpm' | 'npm' | 'pypi';
  readonly name: string;
  readonly version: string;
  readonly architecture?: string;
  /** As its database has it: not always an SPDX expression. */
  readonly licence?: string;
  /** The file that says so. */
  readonly source: string;
}

/** /etc/os-release, as far as it names packages (os-release(5)). */
export interface Distribution {
  readonly id: string;
  readonly version: string;
}

/** Purl (github.com/package-url/purl-spec): the name of a package anywhere. */
export function purlOf(
  { kind, name, version, architecture }: InstalledPackage,
  { id, version: release }: Distribution,
): string {
  const coded = (text: string) => encodeURIComponent(text).replaceAll('%3A', ':').replaceAll('%2B', '+');
  if (kind === 'npm') {
    const [scope, own] = name.startsWith('@') ? name.split('/', 2) : [undefined, name];
    return `pkg:npm/${scope === undefined ? '' : `${encodeURIComponent(scope)}/`}${coded(own ?? '')}@${coded(version)}`;
  }
  if (kind === 'pypi') return `pkg:pypi/${coded(name.toLowerCase().replaceAll('_', '-'))}@${coded(version)}`;
  const qualifiers = [
    ...(architecture === undefined ? [] : [`arch=${coded(architecture)}`]),
    ...(release === '' ? [] : [`distro=${coded(`${id}-${release}`)}`]),
  ].join('&');
  return `pkg:${kind}/${coded(id)}/${coded(name)}@${coded(version)}${qualifiers === '' ? '' : `?${qualifiers}`}`;
}
