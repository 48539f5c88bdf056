import { withQuery } from '../hub-api.ts';
import type { ImageView } from '../hub-types.ts';
import { useLoaded } from '../loading.ts';
import { Command } from '../parts/command.tsx';
import { Problem } from '../parts/problem.tsx';
import { countText, shortDigest, sizeText } from '../units.ts';

/** One image: digest, platforms, the layers with the instruction that made each, configuration, what refers to it. */
export function ImageDetails({ repository, reference }: { readonly repository: string; readonly reference: string }) {
  const { data, problem } = useLoaded<ImageView>(withQuery('image', { name: repository, reference }));
  if (data === undefined) return <Problem text={problem} />;
  const link = (digest: string) => `/${repository}?${new URLSearchParams({ image: digest })}`;
  const biggest = Math.max(1, ...data.steps.map(({ layer }) => layer?.size ?? 0));
  const config = Object.entries(data.config).filter(([, value]) => value !== null && value !== '');
  return (
    <>
      <section aria-labelledby="image">
        <h2 id="image" class="break">
          {reference.includes(':') ? shortDigest(reference) : reference}
        </h2>
        <dl class="pairs">
          <dt>Digest</dt>
          <dd class="break">
            <code>{data.digest}</code>
          </dd>
          <dt>Size</dt>
          <dd>{sizeText(data.size)}</dd>
          <dt>Media type</dt>
          <dd class="break">{data.artifactType ?? data.mediaType}</dd>
          {data.tags.length > 0 && (
            <>
              <dt>Tags</dt>
              <dd>{data.tags.join(', ')}</dd>
            </>
          )}
          {Object.entries(data.annotations).map(([key, value]) => (
            <>
              <dt class="break">{key}</dt>
              <dd class="break">{value}</dd>
            </>
          ))}
        </dl>
        <Command text={`gantry pull ${location.host}/${repository}@${data.digest}`} />
      </section>
      {data.platforms.length > 0 && (
        <section aria-labelledby="platforms">
          <h2 id="platforms">{data.steps.length > 0 ? 'Platform' : 'Platforms'}</h2>
          <ul>
            {data.platforms.map(({ digest, platform, size }) => (
              <li key={digest}>
                <a href={link(digest)}>{platform}</a> <span class="facts">{sizeText(size)}</span>
              </li>
            ))}
          </ul>
        </section>
      )}
      {data.steps.length > 0 && (
        <section aria-labelledby="layers">
          <h2 id="layers">{countText(data.steps.filter(({ layer }) => layer !== undefined).length, 'layer')}</h2>
          <ol class="layers">
            {data.steps.map(({ instruction, layer }, i) => (
              <li key={i}>
                <code class="instruction">{tidy(instruction)}</code>
                {layer !== undefined && (
                  <span class="facts">
                    <meter min={0} max={biggest} value={layer.size} aria-label={`Size of layer ${i + 1}`} />{' '}
                    {sizeText(layer.size)} <code title={layer.digest}>{shortDigest(layer.digest)}</code>
                  </span>
                )}
              </li>
            ))}
          </ol>
        </section>
      )}
      {config.length > 0 && (
        <section aria-labelledby="config">
          <h2 id="config">Configuration</h2>
          <dl class="pairs">
            {config.map(([key, value]) => (
              <>
                <dt>{key}</dt>
                <dd class="break">
                  <code>{typeof value === 'string' ? value : JSON.stringify(value)}</code>
                </dd>
              </>
            ))}
          </dl>
        </section>
      )}
      {data.referrers.length > 0 && (
        <section aria-labelledby="referrers">
          <h2 id="referrers">What refers to it</h2>
          <ul>
            {data.referrers.map(({ digest, artifactType, size }) => (
              <li key={digest}>
                <a href={link(digest)}>{artifactType}</a> <span class="facts">{sizeText(size)}</span>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

/** The instruction as its author wrote it, without the builder's wrapping. */
const tidy = (instruction: string): string =>
  instruction
    .replace(/^\/bin\/sh -c #\(nop\)\s+/, '')
    .replace(/^\/bin\/sh -c\s+/, 'RUN ')
    .trim() || '(nothing is said about this layer)';
