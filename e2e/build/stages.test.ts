import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { openWorkbench, type Workbench } from './workbench.ts';

let bench: Workbench;
before(async () => {
  bench = await openWorkbench();
});
after(() => bench[Symbol.asyncDispose]());

const hello = {
  Dockerfile: `ARG BASE=busybox
FROM \${BASE} AS build
WORKDIR /src
COPY main.txt .
RUN tr a-z A-Z < main.txt > /hello && yes | head -c 4194304 > /big
FROM busybox AS unused
RUN false
FROM \${BASE}
ARG NAME=nobody
ENV NAME=\${NAME} PORT=8080
COPY --from=build /hello /usr/local/bin/hello
USER 1000
EXPOSE 8080
CMD ["hello"]
`,
  'main.txt': 'hello\n',
};

test('a build with several stages: the last one is the image, one that nobody needs is never built', async () => {
  const { image, output, ran } = await bench.build(hello, { buildArgs: { NAME: 'ana' }, tags: ['ana/hello:v1'] });
  assert.deepEqual(ran, ['/bin/sh -c tr a-z A-Z < main.txt > /hello && yes | head -c 4194304 > /big']);
  assert.deepEqual(image.tags, ['ana/hello:v1']);
  assert.deepEqual(image.config.config, {
    Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'NAME=ana', 'PORT=8080'],
    User: '1000',
    ExposedPorts: { '8080/tcp': {} },
    Cmd: ['hello'],
  });
  const base = await bench.images.get('busybox');
  assert.equal(image.layers.length, base.layers.length + 1);
  assert.deepEqual(
    image.config.history?.slice(base.config.history?.length ?? 0).map((entry) => [entry.created_by, entry.empty_layer]),
    [
      ['/bin/sh -c #(nop)  ARG NAME=ana', true],
      ['/bin/sh -c #(nop)  ENV NAME=ana PORT=8080', true],
      ['/bin/sh -c #(nop) COPY --from=build /hello /usr/local/bin/hello', undefined],
      ['/bin/sh -c #(nop)  USER 1000', true],
      ['/bin/sh -c #(nop)  EXPOSE 8080/tcp', true],
      ['/bin/sh -c #(nop)  CMD ["hello"]', true],
    ],
  );
  await bench.look(image, (root) => {
    assert.equal(readFileSync(`${root}/usr/local/bin/hello`, 'utf8'), 'HELLO\n');
    assert.equal(existsSync(`${root}/big`), false);
    assert.equal(existsSync(`${root}/src`), false);
  });
  const id = image.id.slice('sha256:'.length, 'sha256:'.length + 12);
  assert.match(output, /^Step 1\/12 : ARG BASE=busybox\nStep 2\/12 : FROM \$\{BASE\} AS build\n ---> [0-9a-f]{12}\n/);
  assert.match(
    output,
    / ---> Running in [0-9a-f]{12}\n ---> Removed intermediate container [0-9a-f]{12}\n ---> [0-9a-f]{12}\n/,
  );
  assert.ok(output.endsWith(` ---> ${id}\nSuccessfully built ${id}\nSuccessfully tagged ana/hello:v1\n`));
  assert.deepEqual(await bench.leftovers(), []);
});

test('layers of a stage that only serves COPY --from are compressed only when an image wants them', async () => {
  const blobs = async () => (await Array.fromAsync(bench.content.list())).length;
  const before = await blobs();
  const { image, ran } = await bench.build(hello, { target: 'build' });
  assert.deepEqual(ran, []);
  const base = await bench.images.get('busybox');
  assert.equal(image.layers.length, base.layers.length + 3);
  // Three layers, a config and a manifest that were not there before.
  assert.equal(await blobs(), before + 5);
  await bench.look(image, (root) => {
    assert.equal(readFileSync(`${root}/hello`, 'utf8'), 'HELLO\n');
    assert.equal(statSync(`${root}/big`).size, 4 * 1024 * 1024);
  });
});

test('stages that do not wait for each other run at once, and their output reads in order', async () => {
  bench.steps.together = 2;
  try {
    const { output } = await bench.build({
      Dockerfile: `FROM busybox AS a
RUN cat && echo from-a
FROM busybox AS b
RUN cat && echo from-b
FROM scratch
COPY --from=a /etc/passwd /a
COPY --from=b /etc/passwd /b
`,
    });
    const places = ['RUN cat && echo from-a', '\nfrom-a', 'AS b', '\nfrom-b', 'FROM scratch'].map((text) =>
      output.indexOf(text),
    );
    assert.ok(!places.includes(-1));
    assert.deepEqual(
      places,
      places.toSorted((x, y) => x - y),
    );
  } finally {
    bench.steps.together = 1;
  }
});

test('labels, a platform, ONBUILD triggers, SHELL, heredocs and the predefined arguments', async () => {
  await bench.build(
    { Dockerfile: 'FROM busybox\nONBUILD COPY a /triggered/\nONBUILD RUN echo $WHO > /who\nENV WHO=parent', a: '' },
    { tags: ['parent'] },
  );
  const { image, output } = await bench.build(
    {
      Dockerfile: `FROM --platform=$BUILDPLATFORM parent
SHELL ["/bin/sh", "-e", "-c"]
ARG TARGETARCH
RUN <<EOF
echo $TARGETARCH $http_proxy > /arch
EOF
COPY <<"one" <<two /docs/
$WHO
one
\${WHO:-x} "quoted"
two
RUN cat <<A > /a && cat <<B > /b
first
A
second
B
`,
      a: 'A',
    },
    { labels: { by: 'ana' }, buildArgs: { http_proxy: 'secret', unknown: 'x' } },
  );
  assert.match(output, /# Executing 2 build triggers\n/);
  assert.match(output, /\[Warning\] One or more build-args \[unknown\] were not consumed\n/);
  assert.equal(image.config.config?.OnBuild, undefined);
  assert.deepEqual(image.config.config?.Labels, { by: 'ana' });
  assert.doesNotMatch(JSON.stringify(image.config), /secret/);
  await bench.look(image, (root) => {
    const read = (path: string) => readFileSync(`${root}${path}`, 'utf8');
    assert.equal(read('/triggered/a'), 'A');
    assert.equal(read('/who'), 'parent\n');
    assert.equal(read('/arch'), `${process.arch === 'arm64' ? 'arm64' : 'amd64'} secret\n`);
    assert.deepEqual([read('/docs/one'), read('/docs/two')], ['$WHO\n', 'parent "quoted"\n']);
    assert.deepEqual([read('/a'), read('/b')], ['first\n', 'second\n']);
  });
});
