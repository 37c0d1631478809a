// Runs before the first paint, so that a chosen theme does not flash. A file, not inline: the policy allows no inline script.
try {
  var theme = localStorage.getItem('exarch-theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // storage may be switched off: the system's theme holds
}
