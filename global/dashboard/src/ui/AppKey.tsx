/** A key for an authenticator app, to be typed or opened. */
export function AppKey({ email, secret, uri }: { email: string; secret: string; uri: string }) {
  return (
    <div className="rounded-md border border-edge bg-surface px-3 py-2">
      <p className="text-sm text-mute">Key, time based, for {email}</p>
      <p className="font-mono text-lg break-words select-all" aria-label="Key">
        {secret.match(/.{1,4}/g)?.join(' ')}
      </p>
      <a href={uri} className="text-sm underline">
        Open it in an app on this device
      </a>
    </div>
  );
}
