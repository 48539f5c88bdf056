import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { type HubUnderTest, hubUnderTest } from './hub-under-test.ts';
import { pushImage } from './small-image.ts';

const executablePath = '/usr/bin/chromium';
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

  test('sign up by keyboard, push, see the repository, copy the command, sign out', () =>
    visit(
      async (page) => {
        await page.goto(hub.url);
        await page.getByRole('link', { name: 'Sign up' }).click();
        await page.getByLabel('Account name').focus();
        await page.keyboard.type('zoe');
        await page.keyboard.press('Tab');
        await page.keyboard.type('long enough');
        await page.keyboard.press('Enter');
        await page.getByText('Signed in as zoe').waitFor();
        await page.getByText(`gantry push ${new URL(hub.url).host}/zoe/NAME:TAG`).waitFor();

        await pushImage(hub.basic('zoe', 'long enough'), 'zoe/hello', 'v0.1.0');
        await page.reload();
        const command = `gantry run -it --rm -p 8080:8080 ${new URL(hub.url).host}/zoe/hello:v0.1.0`;
        const mine = page.getByRole('region', { name: 'My repositories' });
        await mine.locator('code', { hasText: command }).waitFor();
        await mine.getByRole('button', { name: `Copy: ${command}` }).press('Enter');
        await mine.getByText('Copied').waitFor();
        assert.equal(await page.evaluate<string>('navigator.clipboard.readText()'), command);

        await page.getByRole('button', { name: 'Sign out' }).click();
        await page.getByRole('link', { name: 'Sign in' }).waitFor();
        assert.equal(await page.getByRole('region', { name: 'My repositories' }).count(), 0);
        const all = page.getByRole('region', { name: 'Public repositories' });
        await all.getByRole('heading', { name: 'zoe/hello' }).waitFor();
      },
      { permissions: ['clipboard-read', 'clipboard-write'] },
    ));

  test('a wrong password is said; the owner makes a repository private and deletes a tag', () =>
    visit(async (page) => {
      await pushImage(hub.basic('ana'), 'ana/tool', 'old');
      await pushImage(hub.basic('ana'), 'ana/tool', 'new');
      await page.goto(`${hub.url}/sign-in`);
      await page.getByLabel('Account name').fill('ana');
      await page.getByLabel('Password').fill('wrong password');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('alert').getByText('the account name or the password is wrong').waitFor();
      await page.getByLabel('Password').fill('correct horse battery');
      await page.keyboard.press('Enter');

      const mine = page.getByRole('region', { name: 'My repositories' });
      await mine.getByRole('button', { name: 'Make ana/tool private' }).click();
      await mine.getByRole('button', { name: 'Make ana/tool public' }).waitFor();
      const all = page.getByRole('region', { name: 'Public repositories' });
      assert.equal(await all.getByRole('heading', { name: 'ana/tool' }).count(), 0);

      await mine.getByText('1 more tag').click();
      page.once('dialog', (dialog) => void dialog.accept());
      await mine.getByRole('button', { name: 'Delete the tag ana/tool:old' }).click();
      await page.getByRole('status').getByText('Deleted ana/tool:old').waitFor({ state: 'attached' });
      assert.equal(await mine.getByText('1 more tag').count(), 0);
    }));

  test('the page fits a narrow phone, in the dark too', () =>
    visit(
      async (page) => {
        const long = 'a-rather-long-name-with.dots-and/parts';
        await pushImage(hub.basic('ben'), `ben/${long}`, 'a-tag-that-is-longer-than-anyone-would-type-v0.1.0');
        await page.goto(hub.url);
        await page.getByRole('heading', { name: `ben/${long}` }).waitFor();
        const root = 'document.documentElement';
        const wide = await page.evaluate<number>(`${root}.scrollWidth - ${root}.clientWidth`);
        const background = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
        assert.equal(wide, 0);
        assert.equal(background, 'rgb(20, 23, 28)');
      },
      { viewport: { width: 320, height: 640 }, colorScheme: 'dark' },
    ));
});
