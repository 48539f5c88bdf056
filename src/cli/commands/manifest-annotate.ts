import { parseReference } from '#oci/index.ts';
import { defineCommand } from '../command.ts';
import { Failure } from '../failure.ts';
import type { ListedPlatform } from '../manifest-entry.ts';
import { manifestStore } from '../manifest-store.ts';
import { list, text } from '../options.ts';

/** The systems of image lists, and what each runs on (Go's GOOS and GOARCH, which the image specification refers to). */
const architectures: Readonly<Record<string, string>> = {
  aix: 'ppc64',
  android: '386 amd64 arm arm64',
  darwin: '386 amd64 arm arm64',
  dragonfly: 'amd64',
  freebsd: '386 amd64 arm arm64 riscv64',
  illumos: 'amd64',
  linux: '386 amd64 arm arm64 loong64 mips mipsle mips64 mips64le ppc64 ppc64le riscv64 s390x',
  netbsd: '386 amd64 arm arm64',
  openbsd: '386 amd64 arm arm64',
  plan9: '386 amd64 arm',
  solaris: 'amd64',
  windows: '386 amd64 arm arm64',
};

export const command = defineCommand({
  usage: '[OPTIONS] MANIFEST_LIST MANIFEST',
  summary: 'Add additional information to a local image manifest',
  options: {
    arch: text('Set architecture'),
    os: text('Set operating system'),
    'os-features': list('Set operating system feature', { label: 'strings' }),
    'os-version': text('Set operating system version'),
    variant: text('Set architecture variant'),
  },
  args: [2, 2],
  async run({ configDirectory }, { values, args: [name = '', image = ''] }) {
    const [target, manifest] = [parseReference(name), parseReference(image)];
    const store = manifestStore(configDirectory);
    const entry = store.get(target, manifest);
    if (entry === undefined) throw new Failure(`manifest for image ${image} does not exist in ${name}`, 1);
    const was: ListedPlatform = entry.platform ?? { architecture: '', os: '' };
    const features = values['os-features'].flatMap((some) => some.split(','));
    const platform: ListedPlatform = {
      ...was,
      ...(values.arch === '' ? {} : { architecture: values.arch }),
      ...(values.os === '' ? {} : { os: values.os }),
      ...(values.variant === '' ? {} : { variant: values.variant }),
      ...(values['os-version'] === '' ? {} : { 'os.version': values['os-version'] }),
      ...(features.length === 0 ? {} : { 'os.features': [...new Set([...(was['os.features'] ?? []), ...features])] }),
    };
    if (
      (values.os !== '' || values.arch !== '') &&
      !architectures[platform.os]?.split(' ').includes(platform.architecture)
    )
      throw new Failure(
        `manifest entry for image has unsupported os/arch combination: ${platform.os}/${platform.architecture}`,
        1,
      );
    store.save(target, manifest, { ...entry, platform });
    return 0;
  },
});
