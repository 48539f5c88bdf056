import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { mediaTypes } from '#oci/index.ts';
import { project } from '../harness/program.ts';
import { type HubUnderTest, hubUnderTest, passwords } from './hub-under-test.ts';
import { blobOf, pushImage, putBlob, putManifest, smallImage } from './small-image.ts';

const executablePath = '/usr/bin/chromium';
const screenshots = `${project}/build/screenshots`;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const absent = !existsSync(executablePath) && "Debian's chromium is not on this machine";

describe('the hub in a browser', { skip: absent }, () => {
  let hub: HubUnderTest;
  let browser: Browser;
  before(async () => {
    // Root has no sandbox of chromium's to enter.
    [hub, browser] = await Promise.all([hubUnderTest(), chromium.launch({ executablePath, args: ['--no-sandbox'] })]);
  });
  after(async () => {
    await browser.close();
    await hub[Symbol.asyncDispose]();
  });

  /** A fresh browser that counts what the page's policy blocks, its errors, and requests to anyone else. */
  const visit = async (
    body: (page: Page, problems: string[]) => Promise<void>,
    options: BrowserContextOptions = {},
  ) => {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => {
      if (/Content Security Policy/.test(message.text())) problems.push(message.text());
    });
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== new URL(hub.url).origin) problems.push(request.url());
    });
    try {
      await body(page, problems);
      assert.deepEqual(problems, []);
    } finally {
      await context.close();
    }
  };

  const signIn = async (page: Page, name: string) => {
    await page.goto(`${hub.url}/sign-in`);
    await page.getByLabel('Account name').fill(name);
    await page.getByLabel('Password').fill(passwords[name] ?? '');
    await page.keyboard.press('Enter');
    await page.getByText(`Signed in as ${name}`).waitFor();
  };
  /** Keeps a picture, and holds the page to WCAG 2.1 AA as far as a program can. */
  const look = async (page: Page, name: string) => {
    mkdirSync(screenshots, { recursive: true });
    await page.screenshot({ path: `${screenshots}/${name}.png`, fullPage: true });
    await page.evaluate(axe);
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'];
    const found = await page.evaluate<string[]>(
      `axe.run(document, { runOnly: ${JSON.stringify(tags)} }).then(({ violations }) =>
         violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => id + ': ' + html)))`,
    );
    assert.deepEqual(found, [], name);
    const root = 'document.documentElement';
    assert.equal(await page.evaluate<number>(`${root}.scrollWidth - ${root}.clientWidth`), 0, `${name} fits its width`);
  };
  /** An image whose configuration has a history, as a builder makes it. */
  const richImage = (text: string) => {
    const base = smallImage(text);
    const config = blobOf(
      JSON.stringify({
        architecture: 'arm64',
        os: 'linux',
        config: { Env: ['PATH=/bin', `TEXT=${text}`], Cmd: ['/hello'] },
        rootfs: { type: 'layers', diff_ids: [base.layer.digest] },
        history: [
          { created_by: `COPY ${text} /hello`, created: '2026-01-01T00:00:00Z' },
          { created_by: 'CMD ["/hello"]', empty_layer: true },
        ],
      }),
    );
    const manifest = blobOf(
      JSON.stringify({
        ...(JSON.parse(base.manifest.bytes.toString()) as object),
        config: { mediaType: mediaTypes.ociConfig, digest: config.digest, size: config.bytes.length },
      }),
    );
    return { layer: base.layer, config, manifest };
  };

  test('sign up by keyboard, push, see the repository, copy the command, sign out', () =>
    visit(
      async (page) => {
        await page.goto(hub.url);
        await page.getByRole('link', { name: 'Sign up' }).click();
        await page.getByLabel('Account name').focus();
        await page.keyboard.type('zoe');
        await page.keyboard.press('Tab');
        await page.keyboard.type('long enough');
        await look(page, 'sign-up');
        await page.keyboard.press('Enter');
        await page.getByText('Signed in as zoe').waitFor();

        await pushImage(hub.basic('zoe', 'long enough'), 'zoe/hello', 'v0.1.0');
        await page.reload();
        const command = `gantry run -it --rm ${new URL(hub.url).host}/zoe/hello:v0.1.0`;
        const mine = page.getByRole('region', { name: 'My repositories' });
        await mine.locator('code', { hasText: command }).waitFor();
        await mine.getByRole('button', { name: `Copy: ${command}` }).press('Enter');
        await mine.getByText('Copied').waitFor();
        assert.equal(await page.evaluate<string>('navigator.clipboard.readText()'), command);
        await look(page, 'home');

        await page.getByRole('button', { name: 'Sign out' }).click();
        await page.getByRole('link', { name: 'Sign in', exact: true }).waitFor();
        assert.equal(await page.getByRole('region', { name: 'My repositories' }).count(), 0);
        const all = page.getByRole('region', { name: 'Public repositories' });
        await all.getByRole('heading', { name: 'zoe/hello' }).waitFor();
        await page.getByLabel('Search repositories').fill('hello');
        await page.keyboard.press('Enter');
        await page.getByRole('region', { name: 'Repositories with “hello”' }).getByText('zoe/hello').first().waitFor();
      },
      { permissions: ['clipboard-read', 'clipboard-write'] },
    ));

  test('a repository: its words, an image with its layers, two tags compared, settings, a tag deleted', () =>
    visit(async (page) => {
      await pushImage(hub.basic('ana'), 'ana/tool', 'old', richImage('old'));
      const image = await pushImage(hub.basic('ana'), 'ana/tool', 'new', richImage('new'));
      const signature = smallImage('signature', {
        artifactType: 'application/vnd.example.signature',
        subject: {
          mediaType: mediaTypes.ociManifest,
          digest: image.manifest.digest,
          size: image.manifest.bytes.length,
        },
      });
      for (const blob of [signature.layer, signature.config]) await putBlob(hub.basic('ana'), 'ana/tool', blob);
      await putManifest(hub.basic('ana'), 'ana/tool', signature.manifest.digest, signature.manifest);
      await (await hub.basic()('GET', '/v2/ana/tool/manifests/new')).arrayBuffer();

      await page.goto(`${hub.url}/sign-in`);
      await page.getByLabel('Account name').fill('ana');
      await page.getByLabel('Password').fill('wrong password');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('alert').getByText('the account name or the password is wrong').waitFor();
      await page.getByLabel('Password').fill('correct horse battery');
      await page.keyboard.press('Enter');
      await page.getByText('Signed in as ana').waitFor();

      await page.goto(`${hub.url}/ana/tool`);
      await page.getByRole('navigation', { name: 'Pages of ana/tool' }).getByRole('link', { name: 'Settings' }).click();
      await page
        .getByLabel('Words about it, in Markdown')
        .fill('# Tool\n\nIt **helps**: <script>x</script>\n\n- one\n- [site](https://example.org/)');
      await page.getByLabel('Private:').check();
      await look(page, 'repository-settings');
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByRole('status').getByText('Saved').waitFor({ state: 'attached' });
      await page.getByRole('link', { name: 'About' }).click();
      await page.getByRole('heading', { name: 'Tool', exact: true }).waitFor();
      await page.getByText('<script>x</script>').waitFor();
      await page.getByText('private', { exact: true }).waitFor();
      await page.getByRole('img', { name: '1 pull in 30 days' }).waitFor();
      await look(page, 'repository');

      await page.getByRole('link', { name: /^Tags/ }).click();
      await page.getByRole('link', { name: 'new', exact: true }).click();
      await page.getByText('COPY new /hello').waitFor();
      await page.getByText('linux/arm64').waitFor();
      await page.getByText('application/vnd.example.signature').waitFor();
      await page.getByText('TEXT=new').waitFor();
      await look(page, 'image');

      await page.getByRole('link', { name: 'Compare' }).click();
      await page.getByText('removed').waitFor();
      await page.getByText('COPY old /hello').waitFor();
      await look(page, 'compare');

      await page.getByRole('link', { name: /^Tags/ }).click();
      await page.getByRole('button', { name: 'delete the tag ana/tool:old' }).click();
      await look(page, 'tags');
      await page.getByRole('button', { name: 'Yes, do it: delete the tag ana/tool:old' }).press('Enter');
      await page.getByRole('status').getByText('Deleted ana/tool:old').waitFor({ state: 'attached' });
      assert.equal(await page.getByRole('heading', { name: 'old' }).count(), 0);
    }));

  test('a token is made, logs a machine in within its scope, and is revoked', () =>
    visit(async (page) => {
      await pushImage(hub.basic('ana'), 'ana/by-token', 'v1');
      await signIn(page, 'ana');
      await page.getByRole('link', { name: 'Tokens' }).click();
      await page.getByLabel('Name', { exact: true }).fill('laptop');
      await page.getByRole('button', { name: 'Make a token' }).click();
      const secret = (await page.locator('code', { hasText: 'gantry_pat_' }).textContent()) ?? '';
      await page.getByText('never used').waitFor();
      await look(page, 'tokens');
      assert.equal((await hub.basic('ana', secret)('GET', '/v2/ana/by-token/manifests/v1')).status, 200);
      assert.equal((await hub.basic('ana', secret)('POST', '/v2/ana/by-token/blobs/uploads/')).status, 403);
      await page.getByRole('button', { name: 'revoke the token laptop' }).click();
      await page.getByRole('button', { name: 'Yes, do it: revoke the token laptop' }).click();
      await page.getByText('never used').waitFor({ state: 'detached' });
      assert.equal((await hub.basic('ana', secret)('GET', '/v2/')).status, 401);
      await page.getByRole('link', { name: 'Settings' }).click();
      await page.getByLabel('A line about you').waitFor();
      await look(page, 'settings');
    }));

  test('a class: made, joined by a link, an image posted, seen live with reaction and comment', () =>
    visit(async (page) => {
      await pushImage(hub.basic('ana'), 'ana/homework', 'v1');
      await signIn(page, 'ana');
      await page.goto(`${hub.url}/new`);
      await page.getByLabel('Name').fill('class-1');
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Make a link' }).click();
      const link = (await page.locator('code', { hasText: '/join?code=' }).textContent()) ?? '';
      await look(page, 'members');

      const context = await browser.newContext({ viewport: { width: 360, height: 720 }, colorScheme: 'dark' });
      const phone = await context.newPage();
      await signIn(phone, 'ben');
      await phone.goto(link);
      await phone.getByRole('button', { name: 'Join as ben' }).click();
      await phone.getByRole('link', { name: 'Board of class-1' }).click();
      await phone.getByText('live', { exact: true }).waitFor();

      await page.goto(`${hub.url}/board/class-1`);
      await page.getByText('live', { exact: true }).waitFor();
      await page.getByLabel('Image').selectOption('ana/homework:v1');
      await page.getByLabel('A word about it').fill('My first image');
      await page.getByRole('button', { name: 'Post' }).click();

      const card = phone.getByRole('article', { name: 'ana shows ana/homework:v1' });
      await card.getByText('My first image').waitFor();
      await card.getByText(`gantry run -it --rm ${new URL(hub.url).host}/ana/homework:v1`).waitFor();
      await card.getByRole('button', { name: '🎉 0' }).click();
      await card.getByLabel('Comment on the post of ana').fill('It runs here!');
      await phone.keyboard.press('Enter');
      await page.getByText('It runs here!').waitFor();
      await page.getByRole('button', { name: '🎉 1' }).waitFor();
      await card.getByText('It runs here!').waitFor();
      await look(phone, 'board-phone-dark');
      await look(page, 'board');
      await context.close();
      await page.goto(`${hub.url}/class-1?tab=records`);
      await page.getByText('invitation.create').waitFor();
      await look(page, 'records');
    }));

  test('a team: made, a member put in, a role in a repository given and taken away, removed', () =>
    visit(async (page) => {
      await hub.admin('org', 'add', 'workshop', 'ana');
      await hub.admin('org', 'member', 'workshop', 'ben', 'reader');
      await pushImage(hub.basic('ana'), 'workshop/tool', 'v1');
      const mayPush = async () =>
        (await hub.basic('ben')('POST', '/v2/workshop/tool/blobs/uploads/', { method: 'POST' })).status;
      assert.equal(await mayPush(), 403, 'a reader');

      await signIn(page, 'ana');
      await page.goto(`${hub.url}/workshop?tab=members`);
      await page.getByLabel('Name of a new team').fill('makers');
      await page.keyboard.press('Enter');
      const card = page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: 'makers' }) });
      await card.getByText('Nobody is in it.').waitFor();
      await card.getByText('Change', { exact: true }).click();
      await card.getByLabel('Member to put in, or take out').fill('nobody-here');
      await page.keyboard.press('Enter');
      await card.getByText(/nobody-here/).waitFor();
      await card.getByLabel('Member to put in, or take out').fill('ben');
      await page.keyboard.press('Enter');
      await card.getByRole('paragraph').filter({ hasText: /^ben$/ }).waitFor();
      await card.getByLabel('Repository').fill('workshop/tool');
      await card.getByLabel('Role').selectOption('writer');
      await card.getByRole('button', { name: 'Give the role' }).click();
      await card.getByText('writer in').waitFor();
      await look(page, 'team');
      assert.equal(await mayPush(), 202, 'by the team');

      await card.getByRole('button', { name: 'Take away' }).click();
      await card.getByText('writer in').waitFor({ state: 'detached' });
      assert.equal(await mayPush(), 403, 'taken away at once');
      await card.getByRole('button', { name: 'remove the team makers' }).click();
      await card.getByRole('button', { name: 'Yes, do it: remove the team makers' }).click();
      await card.waitFor({ state: 'detached' });
    }));

  test('whoever runs the hub sees accounts, sets limits and invites', () =>
    visit(async (page) => {
      assert.equal((await hub.user('admin', 'ana', 'on')).code, 0);
      await signIn(page, 'ana');
      await page.getByRole('link', { name: 'Admin' }).click();
      await page.getByText('Limits and removal of ben').click();
      const row = page.getByRole('listitem').filter({ hasText: 'Limits and removal of ben' });
      await row.getByLabel('Megabytes').fill('5');
      await look(page, 'admin');
      await row.getByRole('button', { name: 'Set limits' }).click();
      await row.getByText('of 5.00 MB').waitFor();
      await signIn(page, 'ben');
      assert.equal(await page.getByRole('link', { name: 'Admin' }).count(), 0);
    }));

  test('the page fits a narrow phone, in the dark too', () =>
    visit(
      async (page) => {
        const long = 'a-rather-long-name-with.dots-and/parts';
        await pushImage(hub.basic('ben'), `ben/${long}`, 'a-tag-that-is-longer-than-anyone-would-type-v0.1.0');
        await page.goto(hub.url);
        await page.getByRole('heading', { name: `ben/${long}` }).waitFor();
        const background = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
        assert.equal(background, 'rgb(20, 23, 28)');
        await look(page, 'home-phone-dark');
        await page.goto(`${hub.url}/ben/${long}`);
        await page.getByRole('heading', { name: 'Run it' }).waitFor();
        await look(page, 'repository-phone-dark');
      },
      { viewport: { width: 320, height: 640 }, colorScheme: 'dark' },
    ));
});
