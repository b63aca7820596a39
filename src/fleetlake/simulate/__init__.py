"""Vehicles on the road from London to Birmingham, as physics; and recorded drives, replayed. Pure and seeded."""

from fleetlake.simulate.events import (
    generate_emergency_incident_data,
    generate_gps_data,
    generate_traffic_camera_data,
    generate_vehicle_data,
    generate_weather_data,
)
from fleetlake.simulate.run import (
    SimulationReport,
    SimulationSettings,
    produce_data_to_kafka,
    run_simulation,
    simulate_journey,
)

__all__ = [
    "SimulationReport",
    "SimulationSettings",
    "generate_emergency_incident_data",
    "generate_gps_data",
    "generate_traffic_camera_data",
    "generate_vehicle_data",
    "generate_weather_data",
    "produce_data_to_kafka",
    "run_simulation",
    "simulate_journey",
]
