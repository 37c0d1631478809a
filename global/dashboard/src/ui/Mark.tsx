/** The sign of the product: an E laid in tesserae, the middle one gold. The same drawing as public/favicon.svg. */
export function Mark({ size = 22 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" aria-hidden className="shrink-0">
      <rect width="24" height="24" rx="5" className="fill-fill" />
      <g className="fill-on-fill">
        <rect x="5.5" y="5" width="4" height="4" rx=".6" />
        <rect x="10.5" y="5" width="4" height="4" rx=".6" />
        <rect x="15.5" y="5" width="4" height="4" rx=".6" />
        <rect x="5.5" y="10" width="4" height="4" rx=".6" />
        <rect x="5.5" y="15" width="4" height="4" rx=".6" />
        <rect x="10.5" y="15" width="4" height="4" rx=".6" />
        <rect x="15.5" y="15" width="4" height="4" rx=".6" />
      </g>
      <rect x="10.5" y="10" width="4" height="4" rx=".6" className="fill-gold" />
    </svg>
  );
}
