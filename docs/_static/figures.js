// Draws the figures of a page with the plotly.js beside it, which only such pages load.
document.addEventListener("DOMContentLoaded", () => {
  const places = document.querySelectorAll("div.figure > div");
  if (!places.length) return;
  const script = document.createElement("script");
  script.src = document.documentElement.dataset.content_root + "_static/plotly.min.js";
  script.onload = () => {
    for (const place of places) {
      const figure = JSON.parse(place.firstElementChild.textContent);
      Plotly.newPlot(place, figure.data, figure.layout, { displaylogo: false, responsive: false });
    }
  };
  document.head.append(script);
});
