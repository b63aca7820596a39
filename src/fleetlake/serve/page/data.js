"use strict";
// The page's data as drives that can be asked where they were when, and what every part of the page draws with.

const SHAPES = { stop: "M0-8A8 8 0 1 1 0 8A8 8 0 1 1 0-8Z", acceleration: "M0-7.5 7 6H-7Z", braking: "M0 7.5 7-6H-7Z", cornering: "M0-8 8 0 0 8-8 0Z", overspeed: "M-6.5-6.5H6.5V6.5H-6.5Z" };
const EARTH_M = 40_030_174; // around the equator of a sphere

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
for (const one of [data, ...data.tracks, ...data.marks, ...(data.trips ?? [])]) if (one.device) one.device = visible(one.device);
const tracks = data.tracks.map(decode);
const fastest = tracks.reduce((best, track) => track.v.reduce((top, v) => Math.max(top, v ?? 0), best), 0);
const SPEEDS = Array.from({ length: 6 }, (_, style) => style * (fastest > 70 ? 20 : 10)); // km/h from which s0 to s5 hold; s6: unknown

/** A name with each character that can't be seen, or turns others around, by its number, as the command line writes it. */
function visible(text) {
  const number = (char) => char.codePointAt(0).toString(16);
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (char) => (char < "\u0100" ? `\\x${number(char).padStart(2, "0")}` : `\\u${number(char).padStart(4, "0")}`));
}

/** A track with its points as arrays: t (s), x and y (Mercator, 0 to 1, from the north-west), way (km), v (km/h or null).
 *  limits: [from km, to km, km/h] where the road's limit is known. */
function decode({ device, day, t, lat, lon, way, v, legs, limits = [] }) {
  const summed = (steps, unit) => { let sum = 0; return steps.map((step) => (sum += step) * unit); };
  const places = summed(lat, 1e-5);
  return {
    device, day, v, limits: limits.map(([from, to, kmh]) => [from / 100, to / 100, kmh]), legs: new Set(legs), t: summed(t, 1), way: summed(way, 0.01),
    x: summed(lon, 1e-5).map(eastward), y: places.map(southward), latitude: places[0],
  };
}

function eastward(lon) { return (lon + 180) / 360; }
function southward(lat) { return 0.5 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / (2 * Math.PI); }
function latitudeAt(y) { return (Math.atan(Math.sinh((0.5 - y) * 2 * Math.PI)) * 180) / Math.PI; }

/** Index of the last value of an ascending list that is not above `value`, 0 if there is none. */
function lastUpTo(list, value) {
  let low = 0, high = list.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (list[middle] <= value) low = middle; else high = middle - 1;
  }
  return low;
}

/** The track between point i and the next one: share 0 is point i, 1 the next. */
function between(track, i, share) {
  const next = Math.min(i + 1, track.t.length - 1);
  const mix = (list) => (list[i] === null || list[next] === null ? null : list[i] + share * (list[next] - list[i]));
  return { track, t: mix(track.t), x: mix(track.x), y: mix(track.y), way: mix(track.way), v: track.legs.has(next) ? null : mix(track.v) };
}

/** The track where `track[along]` (t or way) is `value`; its first or last point beyond these. */
function at(track, value, along = "t") {
  const list = track[along], i = lastUpTo(list, value), span = i + 1 < list.length ? list[i + 1] - list[i] : 0;
  return between(track, i, span > 0 ? Math.min(Math.max((value - list[i]) / span, 0), 1) : 0);
}

/** Calls `draw(style, indices)` for each run of points whose connecting lines have one style; legs are not connected. */
function runs(track, draw) {
  let start = 0, style = null;
  for (let i = 1; i <= track.t.length; i++) {
    const apart = i === track.t.length || track.legs.has(i);
    const here = apart ? null : speedStyle(track.v[i - 1], track.v[i]);
    if (here !== style) {
      if (style !== null) draw(style, start, i - 1);
      start = i - 1;
      style = here;
    }
  }
}

function speedStyle(before, after) {
  if (before === null || after === null) return SPEEDS.length;
  return SPEEDS.findLastIndex((from) => (before + after) / 2 >= from);
}

const two = (number) => String(Math.floor(number)).padStart(2, "0");
const clock = (seconds) => `${two(seconds / 3600)}:${two((seconds / 60) % 60)}`;
const exactClock = (seconds) => `${clock(seconds)}:${two(seconds % 60)}`;
const plural = (number, noun) => (number === 1 ? noun : `${noun}s`);
const tenths = (number) => number.toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const whole = (number) => Math.round(number).toLocaleString("en");
function span(seconds) {
  const minutes = Math.round(seconds / 60);
  return minutes >= 60 ? `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min` : `${minutes} min`;
}
function longDay(day) {
  return new Date(`${day}T00:00Z`).toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
}
/** A time of a day, with the day on a page that shows several at once. */
function when(day, seconds) {
  return data.spansDays ? `${day} ${exactClock(seconds)}` : exactClock(seconds);
}
function describe(point) {
  return `${when(point.track.day, point.t)} · ${point.v === null ? "speed unknown" : `${whole(point.v)} km/h`} · ${tenths(point.way)} km`;
}
function describeEvent(event) {
  if (event.kind === "overspeed") {
    const speed = event.speed === null ? "" : `, ${whole(event.speed)} km/h`, limit = event.limit === null ? "" : ` where ${whole(event.limit)} are allowed`;
    return `Too fast for ${event.seconds < 90 ? `${whole(event.seconds)} s` : span(event.seconds)}${speed}${limit}`;
  }
  return event.kind ? `Harsh ${event.kind}, ${event.peak.toFixed(1)} m/s²` : `Stop for ${span(event.seconds)}${event.open ? " so far" : ""}`;
}

/** Adds an SVG element; what is text is set as text, never as markup. */
function draw(parent, name, attributes = {}, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== "") element.textContent = text;
  parent.append(element);
  return element;
}

/** A stop's or harsh event's mark, around the origin. */
function drawMark(parent, kind) {
  const group = draw(parent, "g");
  draw(group, "path", { class: `mark ${kind}`, d: SHAPES[kind] });
  if (kind === "stop") draw(group, "path", { class: "pause", d: "M-2.5-3.5V3.5M2.5-3.5V3.5" });
  return group;
}

/** Runs `action` before the next frame, once however often it is asked to. */
function onceAFrame(action) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; action(); });
  };
}
