import type { Attestation, Image } from '#images/index.ts';
import { closeFd, mountDetached } from '#linux/index.ts';
import type { GraphDriver } from '#snapshots/index.ts';
import { installedPackages } from './installed-packages.ts';
import { type Made, provenanceOf, provenanceType } from './provenance.ts';
import { spdxDocument, spdxType } from './spdx.ts';

/** What is to be attested of an image. */
export interface Attestations {
  readonly sbom: boolean;
  readonly provenance?: 'min' | 'max';
}

/** The statements about one image (in-toto: spec/v1/statement.md), the packages in it first. */
export async function attest(
  image: Image,
  wanted: Attestations,
  made: Omit<Made, 'mode'>,
  { driver, scratch, signal }: { readonly driver: GraphDriver; readonly scratch: string; readonly signal: AbortSignal },
): Promise<readonly Attestation[]> {
  const { digest } = image.manifest;
  const name = made.request.tags[0] ?? image.id;
  const statement = (predicateType: string, predicate: object): Attestation => ({
    predicateType,
    statement: Buffer.from(
      JSON.stringify({
        _type: 'https://in-toto.io/Statement/v1',
        subject: [{ name, digest: { sha256: digest.replace('sha256:', '') } }],
        predicateType,
        predicate,
      }),
    ),
  });
  const statements: Attestation[] = [];
  if (wanted.sbom) {
    const created = image.config.created ?? new Date(0).toISOString();
    const inventory = await inventoryOf(image, driver, scratch, signal);
    statements.push(statement(spdxType, spdxDocument(inventory, name, digest, created)));
  }
  if (wanted.provenance !== undefined)
    statements.push(statement(provenanceType, provenanceOf({ ...made, mode: wanted.provenance })));
  return statements;
}

async function inventoryOf({ chainId }: Image, driver: GraphDriver, scratch: string, signal: AbortSignal) {
  if (chainId === undefined) return { distribution: { id: 'linux', version: '' }, packages: [] };
  const root = mountDetached(await driver.view(chainId));
  try {
    return await installedPackages(root, scratch, signal);
  } finally {
    closeFd(root);
  }
}
