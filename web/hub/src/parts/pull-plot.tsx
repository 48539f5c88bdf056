import { countText } from '../units.ts';

const [width, height, gap] = [600, 90, 2];

/** Pulls per day as bars, the newest on the right, with the same in words. */
export function PullPlot({ perDay }: { readonly perDay: readonly number[] }) {
  const most = Math.max(1, ...perDay);
  const total = perDay.reduce((sum, count) => sum + count, 0);
  const step = width / perDay.length;
  const dayOf = (index: number) =>
    new Date(Date.now() - (perDay.length - 1 - index) * 86_400_000).toLocaleDateString(undefined, {
      month: 'short',
      day: 'numeric',
    });
  return (
    <figure class="plot">
      <svg
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        aria-label={`${countText(total, 'pull')} in ${perDay.length} days, at most ${most} in one`}
        preserveAspectRatio="none"
      >
        {perDay.map((count, i) => {
          const tall = count === 0 ? 1 : Math.max(3, (count / most) * height);
          return (
            <rect
              key={dayOf(i)}
              class={count === 0 ? 'none' : 'bar'}
              x={i * step + gap / 2}
              y={height - tall}
              width={step - gap}
              height={tall}
              rx="1.5"
            >
              <title>{`${dayOf(i)}: ${countText(count, 'pull')}`}</title>
            </rect>
          );
        })}
      </svg>
      <figcaption class="facts axis">
        <span>{dayOf(0)}</span>
        <span>{countText(total, 'pull')}</span>
        <span>today</span>
      </figcaption>
    </figure>
  );
}
