import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isGantryError } from '#errors/index.ts';
import { configRule } from './config.ts';
import { featureReport } from './features.ts';
import { readSchema } from './schema-for-tests.ts';
import { exampleSpec, rootlessSpec } from './spec.ts';

/** The schemas as their publishers have them, beside the project. */
const directory = fileURLToPath(new URL('../../../../shared/specs/oci/runtime', import.meta.url));
const otherPlatforms = ['solaris', 'windows', 'vm', 'zos', 'freebsd'];

/** What only a pattern, or the specification's prose, describes. */
const examples: Readonly<Record<string, unknown>> = {
  '/ociVersion': '1.3.0',
  '/process/args': ['sh'],
  '/process/cwd': '/',
  '/process/rlimits/0/type': 'RLIMIT_NOFILE',
  '/process/execCPUAffinity/initial': '0-1',
  '/process/execCPUAffinity/final': '0',
  '/linux/devices/0/path': '/dev/x',
  '/linux/devices/0/type': 'c',
  '/linux/namespaces/0/path': '/proc/1/ns/mnt',
  '/linux/resources/devices/0/type': 'c',
  '/linux/resources/devices/0/access': 'rwm',
  '/linux/resources/hugepageLimits/0/pageSize': '2MB',
  '/linux/maskedPaths': ['/proc/kcore'],
  '/linux/readonlyPaths': ['/proc/sys'],
  '/linux/intelRdt/memBwSchema': 'MB:0=50',
  ...Object.fromEntries(
    ['bounding', 'effective', 'inheritable', 'permitted', 'ambient'].map((set) => [
      `/process/capabilities/${set}`,
      ['CAP_CHOWN'],
    ]),
  ),
  ...Object.fromEntries(
    ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'].map((hook) => [
      `/hooks/${hook}/0/path`,
      '/bin/true',
    ]),
  ),
};

/** Where the rules ask for more than the schema, and why: prose of the specification, or what the kernel can take. */
const stricter: Readonly<Record<string, RegExp>> = {
  'the version decides how all else is read': /^\/ociVersion$/,
  'required on Linux, and to start': /^\/(root|process)?$|^\/process\/args$/,
  'a command has at least one word': /^\/process\/args\/0$/,
  'absolute by the prose': /^\/process\/cwd$|^\/hooks\/\w+\/0\/path$|\/(maskedPaths|readonlyPaths)(\/0)?$/,
  'absolute, as a path of another namespace must be': /^\/linux\/(namespaces|devices)\/0\/path$/,
  'no empty path': /^\/root\/path$|^\/mounts\/0\/destination$/,
  'capabilities have names': /^\/process\/capabilities\/\w+(\/0)?$/,
  'permission bits': /^\/process\/user\/umask$/,
  'struct winsize has 16 bits': /^\/process\/consoleSize\/(height|width)$/,
  'the kernel takes -1000 to 1000': /^\/process\/oomScoreAdj$/,
  'ioprio has levels 0 to 7': /^\/process\/ioPriority\/priority$/,
  'a timeout in seconds that a clock can hold': /^\/hooks\/\w+\/0\/timeout$/,
  'nanoseconds of one second': /^\/linux\/timeOffsets\/\w+\/nanosecs$/,
  'a percentage': /\/memory\/swappiness$/,
  'types and access of device rules': /\/resources\/devices\/0\/(type|access)$/,
  'errno has 12 bits': /\/seccomp\/.*(errnoRet|defaultErrnoRet)$/i,
  'system calls have six arguments': /\/args\/0\/index$/,
  'a system call has a name': /\/syscalls\/0\/names\/0$/,
};

/** Where engines write what the schema does not have. */
const looser: Readonly<Record<string, RegExp>> = {
  'with the type of the node': /^\/linux\/devices\/0\/fileMode$/,
  'mount(8) has rprivate, …, and the empty string is none': /^\/linux\/rootfsPropagation$/,
};

const wrongValues: readonly unknown[] = [
  ...[true, 0, -1, 1.5, 7, 8, 100, 513, 2 ** 16, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 31) - 1, 2 ** 63, 2 ** 65],
  ...['', 'x', '/x', '..', 'SCMP_ACT_NOPE', 'CAP_', 'rprivate', 'MB', '0;1', '2mb'],
  ...[[], {}, ['x'], [1], [[]], { x: 1 }, { x: 'y' }],
];

type Path = readonly (string | number)[];

/** Every place in a value. */
function* places(value: unknown, path: Path = []): Generator<Path> {
  yield path;
  if (typeof value !== 'object' || value === null) return;
  for (const [name, entry] of Object.entries(value))
    yield* places(entry, [...path, Array.isArray(value) ? Number(name) : name]);
}

/** A copy of a value with another at a place; `undefined` takes the place away. */
function changed(value: unknown, [at, ...rest]: Path, to: unknown): unknown {
  if (at === undefined) return to;
  if (Array.isArray(value)) {
    const inner = value.map((entry, i) => (i === at ? changed(entry, rest, to) : entry));
    return inner.filter((entry) => entry !== undefined);
  }
  const { [at]: old, ...others } = value as Record<string, unknown>;
  const inner = changed(old, rest, to);
  return inner === undefined ? others : { ...others, [at]: inner };
}

/** What the rules say against a value. */
function refusal(value: unknown): string | undefined {
  try {
    configRule(value, '');
    return undefined;
  } catch (error) {
    assert.ok(isGantryError(error, 'invalid'), String(error));
    return error.message;
  }
}

suite("the specification's schemas", { skip: existsSync(directory) ? false : `${directory} is not there` }, () => {
  const schema = readSchema(directory, 'config-schema.json', otherPlatforms);

  test('a configuration with every field there is fits both', () => {
    const full = schema.example(examples);
    assert.ok(schema.fits(full));
    assert.equal(refusal(full), undefined);
  });

  test('what the schema refuses is refused, and what it takes is taken, but for reasons', () => {
    const full = schema.example(examples);
    let compared = 0;
    const used = new Set<RegExp>();
    for (const path of places(full)) {
      const pointer = path.map((part) => `/${part}`).join('');
      for (const value of [...wrongValues, undefined]) {
        const candidate = changed(full, path, value);
        if (candidate === undefined) continue;
        const [fits, message] = [schema.fits(candidate), refusal(candidate)];
        compared++;
        if (fits === (message === undefined)) {
          const parent = path
            .slice(0, -1)
            .map((part) => `/${part}`)
            .join('');
          if (message !== undefined) assert.ok(message.includes(`: ${parent}`), `${message} hides ${pointer}`);
          continue;
        }
        const excused = Object.values(fits ? stricter : looser).find((pattern) => pattern.test(pointer));
        assert.ok(excused, `${pointer} = ${JSON.stringify(value)}: schema ${fits}, rules say ${message}`);
        used.add(excused);
      }
    }
    assert.ok(compared > 5000, `${compared}`);
    for (const [reason, pattern] of Object.entries({ ...stricter, ...looser }))
      assert.ok(used.has(pattern), `${reason}: no longer needed`);
  });

  test('what spec and features print fits', () => {
    for (const spec of [exampleSpec, rootlessSpec(1000, 1000)])
      assert.ok(schema.fits(JSON.parse(JSON.stringify(spec))));
    assert.ok(readSchema(directory, 'features-schema.json').fits(JSON.parse(JSON.stringify(featureReport()))));
  });
});
