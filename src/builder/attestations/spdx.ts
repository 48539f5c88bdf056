import { createHash } from 'node:crypto';
import type { Inventory } from './installed-packages.ts';
import { purlOf } from './package.ts';

export const spdxType = 'https://spdx.dev/Document';

/** A licence that is an SPDX expression is said; any other text would make the document invalid. */
const licenceOf = (text: string | undefined): string =>
  text !== undefined && /^[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*$/.test(text) ? text : 'NOASSERTION';

/** What is installed, as an SPDX document (SPDX 2.3, JSON). `digest` is the image's. */
export function spdxDocument({ distribution, packages }: Inventory, name: string, digest: string, created: string) {
  const items = packages.map((one) => {
    const purl = purlOf(one, distribution);
    const hash = createHash('sha256').update(`${purl} ${one.source}`).digest('hex').slice(0, 16);
    return {
      SPDXID: `SPDXRef-Package-${one.kind}-${one.name.replaceAll(/[^A-Za-z0-9.-]/g, '-').slice(0, 100)}-${hash}`,
      name: one.name,
      versionInfo: one.version,
      downloadLocation: 'NOASSERTION',
      filesAnalyzed: false,
      sourceInfo: `installed, as ${one.source} says`,
      licenseConcluded: 'NOASSERTION',
      licenseDeclared: licenceOf(one.licence),
      copyrightText: 'NOASSERTION',
      externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }],
    };
  });
  const unique = [...new Map(items.map((item) => [item.SPDXID, item])).values()];
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name,
    documentNamespace: `urn:gantry:sbom:${digest}`,
    creationInfo: { created: created.replace(/\.\d+Z$/, 'Z'), creators: ['Tool: gantry'] },
    packages: [
      {
        SPDXID: 'SPDXRef-Image',
        name,
        downloadLocation: 'NOASSERTION',
        filesAnalyzed: false,
        licenseConcluded: 'NOASSERTION',
        licenseDeclared: 'NOASSERTION',
        copyrightText: 'NOASSERTION',
        primaryPackagePurpose: 'CONTAINER',
        checksums: [{ algorithm: 'SHA256', checksumValue: digest.replace('sha256:', '') }],
      },
      ...unique,
    ],
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: 'SPDXRef-Image' },
      ...unique.map(({ SPDXID }) => ({
        spdxElementId: 'SPDXRef-Image',
        relationshipType: 'CONTAINS',
        relatedSpdxElement: SPDXID,
      })),
    ],
  };
}
