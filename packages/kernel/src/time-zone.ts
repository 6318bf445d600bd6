/** Whether this is a time zone of IANA's by name ("Europe/Berlin"); offsets like "+02:00" are none, as they know of no summer. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
