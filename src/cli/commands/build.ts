import { statSync, writeFileSync } from 'node:fs';
import { type BuildLine, buildContext, hostOf, jsonLines } from '#client/index.ts';
import { familiarReference, parseReference } from '#oci/index.ts';
import {
  type BuildOutput,
  type ProgressMode,
  parseAttest,
  parseCacheFrom,
  parseCacheTo,
  parseNamedContext,
  parseOutput,
  parseProgress,
  parseProvenance,
  parseSbom,
  parseSecret,
  type WantedAttestations,
} from '../build-options.ts';
import { type BuildShown, explanation, showBuild } from '../build-progress.ts';
import { writeFiles, writeImages } from '../build-results.ts';
import { checkReport, warningSummary } from '../build-warnings.ts';
import { type CommandContext, defineCommand } from '../command.ts';
import { contentTrust, hostEntry, isolation } from '../container-options.ts';
import { contextKey, contextSecret } from '../context-secret.ts';
import { Failure } from '../failure.ts';
import { ulimitOf } from '../isolation-options.ts';
import { openBuildContext } from '../open-build-context.ts';
import { fixed, flag, integer, list, listOf, text, unsupported, type Values, value } from '../options.ts';
import { writeError, writeOut } from '../output.ts';
import { proxyVariables } from '../proxy-variables.ts';
import { pushImage } from '../push-image.ts';
import { allCredentials, authHeader } from '../registry-credentials.ts';
import { isTerminal } from '../terminal.ts';
import { humanSize, parseBytes } from '../units.ts';

const bytes = (help: string, short?: string) => value('bytes', parseBytes, help, short === undefined ? {} : { short });

const options = {
  'add-host': listOf(hostEntry, 'Add a custom host-to-IP mapping (host:ip)'),
  allow: list('Allow what steps may not do otherwise: network.host, security.insecure'),
  attest: listOf(parseAttest, 'Attestations of the image (type=sbom, type=provenance,mode=max)'),
  'build-arg': list('Set build-time variables'),
  'build-context': listOf(parseNamedContext, 'Additional build contexts (name=path, name=docker-image://image)'),
  'cache-from': listOf(parseCacheFrom, 'Where results of earlier builds are (image, type=local,src=dir)'),
  'cache-to': listOf(parseCacheTo, 'Where the results of this build go (type=inline, type=registry,ref=image)'),
  check: flag('Only look for mistakes in the Dockerfile'),
  'cgroup-parent': text('Set the parent cgroup for the "RUN" instructions during build'),
  compress: flag('Compress the build context using gzip'),
  'cpu-period': integer('Limit the CPU CFS (Completely Fair Scheduler) period'),
  'cpu-quota': integer('Limit the CPU CFS (Completely Fair Scheduler) quota'),
  'cpu-shares': integer('CPU shares (relative weight)', { short: 'c' }),
  'cpuset-cpus': text('CPUs in which to allow execution (0-3, 0,1)'),
  'cpuset-mems': text('MEMs in which to allow execution (0-3, 0,1)'),
  'disable-content-trust': contentTrust('verification'),
  'explain-cache': flag('Say of each step whether it was cached, and why if it was not'),
  file: text('Name of the Dockerfile (Default is "PATH/Dockerfile")', { short: 'f' }),
  'force-rm': flag('Always remove intermediate containers, as is done anyway'),
  iidfile: text('Write the image ID to the file'),
  isolation: isolation(),
  label: list('Set metadata for an image'),
  load: flag('Keep the image in the engine, which is done anyway'),
  memory: bytes('Memory limit', 'm'),
  'memory-swap': value(
    'bytes',
    (written) => (written === '-1' ? -1 : parseBytes(written)),
    "Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
  ),
  'metadata-file': text('Write what was built to a file, as JSON'),
  network: text('Set the networking mode for the RUN instructions during build', { initial: 'default' }),
  'no-cache': flag('Do not use cache when building the image'),
  'no-cache-filter': list('Stages that are built without the cache'),
  output: listOf(parseOutput, 'Where the result goes (type=local,dest=path)', { short: 'o' }),
  platform: text('Set platform if server is multi-platform capable; several, by commas, make an index'),
  progress: value('string', parseProgress, 'Kind of progress output: auto, plain, tty, rawjson or quiet', {
    shownDefault: '"auto"',
  }),
  provenance: value('string', parseProvenance, 'Attest how the image came to be (true, mode=max)'),
  pull: flag('Always attempt to pull a newer version of the image'),
  push: flag('Push the tags when all is built'),
  quiet: flag('Suppress the build output and print image ID on success', { short: 'q' }),
  rm: fixed(
    'Remove intermediate containers after a successful build',
    true,
    'there are no intermediate containers to keep',
  ),
  sbom: value('string', parseSbom, 'Attest what packages are in the image (true)'),
  secret: listOf(parseSecret, 'A secret for RUN --mount=type=secret (id=mysecret[,src=/local/secret])'),
  'security-opt': unsupported('Security options', 'strings'),
  'shm-size': bytes('Size of /dev/shm'),
  squash: flag('Make one layer of all that the build adds'),
  ssh: list('An ssh agent for RUN --mount=type=ssh (default|<id>[=<socket>|<key>[,<key>]])'),
  tag: list('Name and optionally a tag in the "name:tag" format', { short: 't' }),
  target: text('Set the target build stage to build.'),
  ulimit: listOf(ulimitOf, 'Ulimit options', { label: 'ulimit' }),
};

type BuildValues = Values<typeof options>;

export const command = defineCommand({
  usage: '[OPTIONS] PATH | URL | -',
  summary: 'Build an image from a Dockerfile',
  aliases: ['image build', 'build', 'builder build'],
  options,
  args: [1, 1],
  async run(context, { values, args: [path = ''] }) {
    if (values.iidfile !== '' && statSync(values.iidfile, { throwIfNoEntry: false })?.isDirectory())
      throw new Failure(`--iidfile ${values.iidfile} is a directory`, 1);
    const outputs = outputsOf(values);
    const tags = tagsOf(values, outputs);
    const shown = await build(context, values, path, tags, outputs);
    if (values.check) {
      writeOut(checkReport(shown.warnings));
      return shown.warnings.length === 0 ? 0 : 1;
    }
    if (values['explain-cache']) sayFor(outputs)(explanation(shown.steps));
    const mode = progressOf(values);
    const say = sayFor(outputs);
    if (mode !== 'quiet' && mode !== 'rawjson') {
      writeError(warningSummary(shown.warnings));
      if (shown.imageId !== '') {
        say(`Successfully built ${shown.imageId.replace('sha256:', '').slice(0, 12)}\n`);
        for (const tag of tags) say(`Successfully tagged ${tag}\n`);
      }
    } else if (mode === 'quiet' && shown.imageId !== '') say(`${shown.imageId}\n`);
    if (values.iidfile !== '') {
      if (shown.imageId === '') throw new Failure(`cannot write ${values.iidfile}: no image was made`, 1);
      writeFileSync(values.iidfile, shown.imageId);
    }
    await writeImages(context.engine, outputs, shown.imageId, tags);
    if (values.push || outputs.some((output) => output.type === 'image' && output.push)) {
      if (tags.length === 0) throw new Failure('--push needs a tag to push: -t registry/name:tag', 1);
      for (const tag of tags) await pushImage(context, tag, mode === 'quiet');
    }
    if (values['metadata-file'] !== '') await writeMetadata(context, values['metadata-file'], shown, tags);
    return 0;
  },
});

/** Sends the context and what goes with it, and shows what the engine makes of them. */
async function build(
  { engine, config, configDirectory }: CommandContext,
  values: BuildValues,
  path: string,
  tags: readonly string[],
  outputs: readonly BuildOutput[],
) {
  const onSkipped = (skipped: string, what: string) =>
    writeError(`skipped ${skipped}: ${what} cannot be part of an image\n`);
  const { tar, dockerfile, remote, list } = await openBuildContext(path, { file: values.file, onSkipped });
  const { agentPath, openBuildSession, packDirectory, packTree, startKeyAgent } = await buildContext();
  const named = new Map(values['build-context']);
  const directories = new Map<string, () => AsyncIterable<Uint8Array>>();
  for (const [name, source] of named) {
    if (!('path' in source)) continue;
    const packed = await packDirectory(source.path, onSkipped);
    directories.set(name, () => packed);
  }
  for (const [index, from] of values['cache-from'].entries())
    if ('src' in from) directories.set(`cache-${index}`, () => packTree(from.src));
  const cacheDest = values['cache-to'].find(({ dest }) => dest !== undefined)?.dest;
  await using keys = new AsyncDisposableStack();
  const agents = new Map<string, string>();
  for (const [id, path] of values.ssh.map(agentPath))
    agents.set(id, typeof path === 'string' ? path : keys.use(await startKeyAgent(path)).socket);
  const secrets = new Map(values.secret.map(([id, read]) => [id, read()]));
  const files = outputs.find(isFiles);
  const secret = list === undefined || values.compress ? undefined : contextSecret(configDirectory);
  const listing = secret === undefined ? undefined : list?.();
  const needsSession =
    listing !== undefined ||
    directories.size + agents.size + secrets.size + named.size > 0 ||
    files !== undefined ||
    cacheDest !== undefined;
  using session = needsSession ? await openBuildSession(engine, { secrets, contexts: directories, agents }) : undefined;
  const mode = progressOf(values);
  const changed =
    listing === undefined || session === undefined || secret === undefined
      ? undefined
      : listing.contents(await session.need(contextKey(secret, listing.root), listing.lines));
  const say = sayFor(outputs);
  const sent = mode === 'plain' && remote === undefined ? counted(changed ?? tar, say) : (changed ?? tar);
  const { body } = await engine.stream('POST', '/build', {
    query: {
      ...queryOf(values, proxyVariables(config, hostOf(engine.address))),
      t: tags,
      dockerfile,
      remote,
      gantrysession: session?.id,
      context: changed === undefined ? undefined : 'listed',
      contexts: named.size === 0 ? undefined : JSON.stringify(Object.fromEntries(named)),
      ssh: agents.size === 0 ? undefined : JSON.stringify([...agents.keys()]),
      outputs: files === undefined ? undefined : JSON.stringify([{ Type: files.type }]),
    },
    headers: { 'X-Registry-Config': authHeader(await allCredentials(configDirectory)) },
    body: values.compress && remote === undefined ? compressed(sent) : sent,
  });
  const written = Promise.all([
    ...(files === undefined || session === undefined ? [] : [writeFiles(session.output('files'), files)]),
    ...(cacheDest === undefined || session === undefined
      ? []
      : [writeFiles(session.output('cache'), { type: 'local', dest: cacheDest })]),
  ]);
  written.catch(() => undefined); // the build's own failure is what is told first
  const shown = await Promise.race([
    showBuild(jsonLines<BuildLine>(body), mode, mode === 'tty' ? writeError : say),
    ...(session === undefined ? [] : [session.failed]),
  ]);
  await written;
  return shown;
}

const json = (entries: readonly unknown[]): string | undefined =>
  entries.length === 0 ? undefined : JSON.stringify(entries);

function queryOf(values: BuildValues, proxies: Readonly<Record<string, string>>) {
  const epoch = process.env.SOURCE_DATE_EPOCH;
  const buildArgs = {
    ...proxies,
    ...(epoch === undefined ? {} : { SOURCE_DATE_EPOCH: epoch }),
    ...Object.fromEntries(values['build-arg'].map(buildArgument)),
  };
  return {
    buildargs: JSON.stringify(buildArgs),
    labels: JSON.stringify(Object.fromEntries(values.label.map(pair))),
    nocache: values['no-cache'] || undefined,
    nocachefilter: json(values['no-cache-filter'].flatMap((names) => names.split(','))),
    pull: values.pull || undefined,
    target: values.target || undefined,
    networkmode: values.network === 'default' ? undefined : values.network,
    platform: values.platform || undefined,
    ...attested(values),
    extrahosts: json(values['add-host']),
    allow: json(values.allow.flatMap((names) => names.split(','))),
    cachefrom: json(values['cache-from'].map((from, index) => ('ref' in from ? from.ref : `session:cache-${index}`))),
    cacheto: json(values['cache-to'].map(({ type, ref, mode }) => ({ type, ref, mode }))),
    memory: values.memory,
    memswap: values['memory-swap'],
    cpushares: values['cpu-shares'],
    cpuperiod: values['cpu-period'],
    cpuquota: values['cpu-quota'],
    cpusetcpus: values['cpuset-cpus'] || undefined,
    cgroupparent: values['cgroup-parent'] || undefined,
    cpusetmems: values['cpuset-mems'] || undefined,
    shmsize: values['shm-size'],
    ulimits: json(values.ulimit),
    squash: values.squash || undefined,
    check: values.check || undefined,
    steps: true,
    rm: true,
  };
}

/** Where progress goes: not among the bytes of a result that is written to stdout. */
const sayFor = (outputs: readonly BuildOutput[]): ((text: string) => void) =>
  outputs.some((output) => 'dest' in output && output.dest === '-') ? writeError : writeOut;

/** What was asked for last holds. */
function attested({ attest, sbom, provenance }: BuildValues) {
  const wanted: WantedAttestations = Object.assign({}, ...attest, sbom, provenance);
  return { sbom: wanted.sbom === true || undefined, provenance: wanted.provenance };
}

/** `auto` is a table on a terminal and text elsewhere. */
function progressOf(values: BuildValues): Exclude<ProgressMode, 'auto'> {
  if (values.quiet || values.check) return 'quiet';
  const asked = values.progress ?? parseProgress(process.env.BUILDKIT_PROGRESS || 'auto');
  if (asked !== 'auto') return asked;
  return isTerminal(2) && isTerminal(1) ? 'tty' : 'plain';
}

function outputsOf(values: BuildValues): readonly BuildOutput[] {
  const outputs = values.output;
  if (outputs.length > 1 && outputs.some(isFiles))
    throw new Failure('one build writes either files (-o type=local|tar), once, or an image; build twice for both', 1);
  return outputs;
}

const isFiles = (output: BuildOutput): output is Extract<BuildOutput, { type: 'local' | 'tar' | 'oci' | 'docker' }> =>
  output.type === 'local' || output.type === 'tar';

const tagsOf = (values: BuildValues, outputs: readonly BuildOutput[]): readonly string[] =>
  [...values.tag, ...outputs.flatMap((output) => ('names' in output ? output.names : []))].map((tag) =>
    familiarReference(parseReference(tag)),
  );

async function writeMetadata(
  { engine }: CommandContext,
  path: string,
  { imageId, digest }: BuildShown,
  tags: readonly string[],
) {
  const { Descriptor } =
    imageId === ''
      ? { Descriptor: undefined }
      : await engine.json<{ Descriptor?: { digest: string } }>('GET', `/images/${imageId}/json`);
  const metadata = {
    ...(imageId === '' ? {} : { 'containerimage.config.digest': imageId }),
    ...(digest === '' ? {} : { 'containerimage.digest': digest }),
    ...(Descriptor === undefined || Descriptor.digest !== digest ? {} : { 'containerimage.descriptor': Descriptor }),
    ...(tags.length === 0 ? {} : { 'image.name': tags.join(',') }),
  };
  writeFileSync(path, `${JSON.stringify(metadata, undefined, 2)}\n`);
}

const pair = (text: string): readonly [string, string] => {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
};

/** A bare NAME has the value it has here; null where it has none, and then the Dockerfile's default holds. */
const buildArgument = (text: string): readonly [string, string | null] =>
  text.includes('=') ? pair(text) : [text, process.env[text] ?? null];

/** Says how much was sent once it is. */
async function* counted(
  tar: AsyncIterable<Uint8Array>,
  say: (text: string) => void,
): AsyncGenerator<Uint8Array, void, void> {
  let bytes = 0;
  for await (const chunk of tar) {
    bytes += chunk.length;
    yield chunk;
  }
  say(`Sending build context to Gantry daemon  ${humanSize(bytes)}\n`);
}

/** The context in gzip, for a slow way to the engine. */
function compressed(tar: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const { createGzip } = process.getBuiltinModule('node:zlib');
  const { compose, Readable } = process.getBuiltinModule('node:stream');
  return compose(Readable.from(tar), createGzip()) as AsyncIterable<Uint8Array>;
}
