"""The transform on Spark SQL: the same statements, translated."""

APP_NAME = "SmartCityTransform"
