// The map's legend, the boxes that choose its marks, and its zoom buttons.

/** Fills `#speeds` with the colours of speeds and `#layers` with a box for each kind of mark; onToggle(kind, on) is told of changes. */
function fillLegend(drawn, kinds, onToggle) {
  [...SPEEDS, null].forEach((from, style) => {
    if (from === null && !drawn.some((track) => track.v.includes(null))) return;
    const next = SPEEDS[style + 1], item = document.createElement("li");
    draw(draw(item, "svg", { viewBox: "0 0 10 6", preserveAspectRatio: "none", "aria-hidden": "true" }), "path", { class: `s${style}`, d: "M0 3H10" });
    item.append(from === null ? "unknown" : next ? `${from}–${next}` : `${from}+`);
    byId("speeds").append(item);
  });
  for (const kind of kinds) {
    const label = document.createElement("label"), box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
    label.append(box);
    drawMark(draw(label, "svg", { viewBox: "-10 -10 20 20", "aria-hidden": "true" }), kind);
    label.append(["stop", "overspeed"].includes(kind) ? kind : `harsh ${kind}`);
    box.addEventListener("change", () => onToggle(kind, box.checked));
    byId("layers").append(label);
  }
}

function wireZoom(map) {
  byId("zoom-in").addEventListener("click", () => map.zoom(1.5));
  byId("zoom-out").addEventListener("click", () => map.zoom(1 / 1.5));
  byId("zoom-fit").addEventListener("click", () => map.fit());
}
