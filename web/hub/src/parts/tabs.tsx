/** Views of one page, as links: the one that is shown is marked for all readers. */
export const Tabs = ({
  label,
  tabs,
  current,
}: {
  readonly label: string;
  readonly tabs: readonly { readonly key: string; readonly text: string; readonly href: string }[];
  readonly current: string;
}) => (
  <nav class="tabs" aria-label={label}>
    {tabs.map(({ key, text, href }) => (
      <a key={key} href={href} {...(key === current ? { 'aria-current': 'page' as const } : {})}>
        {text}
      </a>
    ))}
  </nav>
);
