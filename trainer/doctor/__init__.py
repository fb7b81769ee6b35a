"""`vitrine doctor`: checks of the installation."""
